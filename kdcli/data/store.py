"""The decoded images of one split, ready to be put into batches."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError
from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Progress
from kdcli.data.images import fit
from kdcli.data.source import Split, broken
from kdcli.data.threads import spread

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
        """uint8 (B, 3, S, S) for the places (B,)."""


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


@dataclass(frozen=True, eq=False)
class OnDemand:
    """Each image decoded when it is asked for."""

    split: Split
    image_size: int

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
            images = np.stack([fit(self.split.read(int(i)), self.image_size) for i in index])
        except DataError as error:
            raise DataError(error.what, self.split.way_out) from error
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, eq=False)
class Joined:
    """The images of several stores, one store behind the other."""

    stores: tuple[Store, ...]

    @property
    def labels(self) -> Indices:
        return np.concatenate([store.labels for store in self.stores])

    @property
    def workers(self) -> int:
        return max(store.workers for store in self.stores)

    def __len__(self) -> int:
        return sum(map(len, self.stores))

    def fetch(self, index: Indices) -> Tensor:
        starts = np.cumsum([0, *map(len, self.stores)])
        # one fetch of each store, then back into the order that was asked for
        which = np.searchsorted(starts, index, side="right") - 1
        places = [np.flatnonzero(which == number) for number in range(len(self.stores))]
        found = [
            store.fetch(index[rows] - start)
            for store, rows, start in zip(self.stores, places, starts[:-1], strict=True)
            if len(rows)
        ]
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


def bytes_in_memory(images: int, image_size: int, limit_bytes: int = MOST_BYTES) -> int:
    """What that many decoded images take there; 0 for so many that they are decoded on demand."""
    size = images * 3 * image_size**2
    return size if size <= limit_bytes else 0


def open_store(
    split: Split, image_size: int, progress: Progress, limit_bytes: int = MOST_BYTES
) -> Store:
    """The split at `image_size` pixels: in memory if it takes at most `limit_bytes` there.

    Decoding into memory raises one DataError that names all images that cannot be read; on
    demand, the batch that holds one does. Either way come the same pixels.
    """
    if not bytes_in_memory(len(split), image_size, limit_bytes):
        return OnDemand(split, image_size)
    images = torch.empty((len(split), 3, image_size, image_size), dtype=torch.uint8)
    pixels = images.numpy()  # the same memory: threads write their images where they belong

    def decode(i: int) -> DataError | None:
        try:
            pixels[i] = fit(split.read(i), image_size).transpose(2, 0, 1)
        except DataError as error:
            return error
        return None

    errors = [e for e in spread(len(split), decode, progress, "reading images") if e]
    if errors:
        raise broken(errors, len(split), split.way_out)
    return InMemory(images, split.labels)
