"""The decoded images of one split, ready to be put into batches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kdcli.core.arrays import Doubles, Indices
from kdcli.core.errors import DataError
from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Progress
from kdcli.data.crops import crops
from kdcli.data.images import fit
from kdcli.data.source import Split, broken
from kdcli.data.threads import spread
from kdcli.recipe.edit import crop_pct_of
from kdcli.recipe.schema import Recipe

MOST_BYTES = 2 << 30
"""Of one split's decoded images in memory: 14,000 of 224 pixels, 170,000 of 64. On a GPU a small
student waits for decoding more than for anything else; below this it is done once."""


class Store(Protocol):
    """Images of one size, fetched by their place in the split; can be pickled."""

    @property
    def labels(self) -> Indices:
        """(n,) indices into the source's classes."""

    @property
    def workers(self) -> int:
        """How many worker processes suit it; 0: fetching costs next to nothing."""

    def __len__(self) -> int: ...

    def fetch(self, index: Indices) -> Tensor:
        """uint8 (B, 3, S, S) for the places (B,): centre squares."""

    def crops(self, index: Indices, draws: Doubles, size: int | None) -> Tensor:
        """uint8 (B, 3, `size`, `size`): a part of each by `crops.part_of` of its draws (B, 4);
        size None: as `fetch` has it."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """All images decoded, uint8 (n, 3, S, S): a quarter of what float32 would take, and channels
    first, as batches are."""

    images: Tensor
    labels: Indices
    workers: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def fetch(self, index: Indices) -> Tensor:
        return self.images[torch.from_numpy(index)]

    def crops(self, index: Indices, draws: Doubles, size: int | None) -> Tensor:
        return crops(self.fetch(index), draws, size)


@dataclass(frozen=True, eq=False)
class OnDemand:
    """Each image decoded when it is asked for."""

    split: Split
    image_size: int
    crop_pct: float = 1.0

    @property
    def labels(self) -> Indices:
        return self.split.labels

    @property
    def workers(self) -> int:
        return usable_cores()

    def __len__(self) -> int:
        return len(self.split)

    def fetch(self, index: Indices) -> Tensor:
        try:
            images = np.stack(
                [fit(self.split.read(int(i)), self.image_size, self.crop_pct) for i in index]
            )
        except DataError as error:
            raise DataError(error.what, self.split.way_out) from error
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    def crops(self, index: Indices, draws: Doubles, size: int | None) -> Tensor:
        return crops(self.fetch(index), draws, size)


def gathered(which: Indices, ask: Callable[[int, Indices], Tensor]) -> Tensor:
    """Rows that come from several: `ask` each number in `which` once, for all places that are its
    own, and put what it gives into their order."""
    numbers = np.unique(which).tolist()
    places = [np.flatnonzero(which == number) for number in numbers]
    found = [ask(*one) for one in zip(numbers, places, strict=True)]
    return torch.cat(found)[torch.from_numpy(np.argsort(np.concatenate(places)))]


@dataclass(frozen=True, eq=False)
class Labelled:
    """The images of a store under other labels: those that teachers gave them."""

    store: Store
    labels: Indices

    @property
    def workers(self) -> int:
        return self.store.workers

    def __len__(self) -> int:
        return len(self.store)

    def fetch(self, index: Indices) -> Tensor:
        return self.store.fetch(index)

    def crops(self, index: Indices, draws: Doubles, size: int | None) -> Tensor:
        return self.store.crops(index, draws, size)


def bytes_in_memory(images: int, image_size: int, limit_bytes: int = MOST_BYTES) -> int:
    """What that many decoded images take there; 0 for so many that they are decoded on demand."""
    size = images * 3 * image_size**2
    return size if size <= limit_bytes else 0


def plain_store(split: Split, recipe: Recipe, progress: Progress) -> Store:
    """The split as evaluation shows it, and whatever is to be shown the same; see `open_store`."""
    shown = recipe.data
    return open_store(split, int(shown.image_size), progress, crop_pct=crop_pct_of(shown.crop_pct))


def open_store(
    split: Split,
    image_size: int,
    progress: Progress,
    limit_bytes: int = MOST_BYTES,
    crop_pct: float = 1.0,
) -> Store:
    """The split's middle squares (`images.fit`) of `image_size` pixels: in memory if they take at
    most `limit_bytes` there.

    Decoding into memory raises one DataError that names all images that cannot be read; on
    demand, the batch that holds one does. Either way come the same pixels.
    """
    if not bytes_in_memory(len(split), image_size, limit_bytes):
        return OnDemand(split, image_size, crop_pct)
    images = torch.empty((len(split), 3, image_size, image_size), dtype=torch.uint8)
    pixels = images.numpy()  # the same memory: threads write their images where they belong

    def decode(i: int) -> None:
        pixels[i] = fit(split.read(i), image_size, crop_pct).transpose(2, 0, 1)

    decode_all(split, decode, progress)
    return InMemory(images, split.labels)


def decode_all(split: Split, decode: Callable[[int], object], progress: Progress) -> None:
    """`decode` each image, in threads; raises one DataError that names all that cannot be read."""

    def tried(i: int) -> DataError | None:
        try:
            decode(i)
        except DataError as error:
            return error
        return None

    errors = [e for e in spread(len(split), tried, progress, "reading images") if e]
    if errors:
        raise broken(errors, len(split), split.way_out)
