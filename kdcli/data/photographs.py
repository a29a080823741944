"""Whole photographs, from which each view of a training takes a part of its own."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import features
from torch import Tensor

from kdcli.core.arrays import Doubles, Indices, Pixels
from kdcli.core.errors import DataError
from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Progress
from kdcli.core.row_cache import key_of
from kdcli.data.crops import crop
from kdcli.data.file_sums import UNREADABLE
from kdcli.data.images import USUAL, reduction
from kdcli.data.picture_cache import PictureCache, capacity, pictures_folder
from kdcli.data.readers import ArrayImages
from kdcli.data.source import Split
from kdcli.data.store import MOST_BYTES, OnDemand, Store, bytes_in_memory, decode_all, open_store
from kdcli.recipe.data import CROPS
from kdcli.recipe.edit import stored_crop_pct, stored_size
from kdcli.recipe.schema import Recipe
from kdcli.runs.spec import RULES

LOOKED_AT = 256
"""Photographs whose sizes tell those of all."""
_LIBRARIES = ("pil", "jpg", "libjpeg_turbo", "webp", "avif", "jpg_2000")
"""Whose versions may decide pixels."""


@dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs of any sizes, reduced (`Reader.reduced`) to what crops need, and decoded once
    where there is a cache; it changes no pixel."""

    split: Split
    side: int
    """That no side falls below, where the photograph's did not."""
    squares: Store
    """The same images, for whoever wants them all alike."""
    cache: PictureCache | None = None

    @property
    def labels(self) -> Indices:
        return self.split.labels

    @property
    def workers(self) -> int:
        # a core decodes and crops 700 photographs a second, or crops 2,000
        return 0 if isinstance(self.split.read, ArrayImages) else usable_cores()

    def __len__(self) -> int:
        return len(self.split)

    def fetch(self, index: Indices) -> Tensor:
        return self.squares.fetch(index)

    def crops(self, index: Indices, draws: Doubles, size: int | None) -> Tensor:
        side = size or self.side
        try:
            parts = [
                crop(self.picture(int(i)), row, side) for i, row in zip(index, draws, strict=True)
            ]
        except DataError as error:
            raise DataError(error.what, self.split.way_out) from error
        return torch.stack(parts)

    def picture(self, i: int) -> Pixels:
        """The whole of one, reduced, uint8 (H, W, 3); raises DataError."""
        key = self.split.read.fingerprint(i) if self.cache else UNREADABLE
        if self.cache is None or key == UNREADABLE:
            return self.split.read.reduced(i, self.side)
        found = self.cache.get(key)
        if found is None:
            found = self.split.read.reduced(i, self.side)
            if self.split.read.unchanged(i):  # else these are not the pixels of that sum
                self.cache.put(key, found)
        return found


def open_training(
    split: Split, recipe: Recipe, progress: Progress, limit_bytes: int = MOST_BYTES
) -> Store:
    """Images to learn from as the recipe varies them: whole photographs where it crops, else
    squares, of which synthetic images are made, too.

    Raises:
        DataError: images that are decoded now, and cannot be; all of them named.
        UsageError: `$KD_CACHE_BYTES` is no number.
    """
    side = stored_size(recipe)
    if not _crops(recipe):
        return open_store(split, side, progress, limit_bytes, stored_crop_pct(recipe))
    squares = open_store(split, side, progress, limit_bytes) if recipe.data.pool else None
    return open_photographs(split, side, progress, limit_bytes, squares)


def squares_in_memory(images: int, recipe: Recipe) -> int:
    """Bytes of so many images that `open_training` decodes into memory."""
    if _crops(recipe) and not recipe.data.pool:
        return 0
    return bytes_in_memory(images, stored_size(recipe))


def kept_bytes(split: Split, recipe: Recipe) -> int:
    """What the cache takes of the split, at most.

    Raises:
        UsageError: `$KD_CACHE_BYTES` is no number.
    """
    return _room_for(split, stored_size(recipe))[1] if _crops(recipe) else 0


def decoded_once(split: Split, recipe: Recipe) -> bool:
    """Whether from the second epoch on no image has to be decoded."""
    side = stored_size(recipe)
    if not _crops(recipe):
        return bytes_in_memory(len(split), side) > 0
    wanted, room = _room_for(split, side)
    return wanted <= room


def open_photographs(
    split: Split,
    side: int,
    progress: Progress,
    limit_bytes: int = MOST_BYTES,
    squares: Store | None = None,
) -> Photographs:
    """The split, reduced to `side`; `squares` are its images as `fetch` gives them (None: decoded
    for each).

    Where all of them fit into the cache, and take at most `limit_bytes`, they are decoded now; with
    a limit of 0 there is no cache. Raises what `open_training` does.
    """
    wanted, room = _room_for(split, side) if limit_bytes else (0, 0)
    cache = PictureCache(_folder(split, side)) if room else None
    opened = Photographs(split, side, squares or OnDemand(split, side), cache)
    if not cache or wanted > min(room, limit_bytes):
        return opened
    decode_all(split, opened.picture, progress)
    return opened


def _crops(recipe: Recipe) -> bool:
    return recipe.data.augment in CROPS


def _room_for(split: Split, side: int) -> tuple[int, int]:
    """Bytes that all of them take in the cache, estimated from some of their headers (those that
    cannot be read are left out), and how many of these it takes; images in memory need none."""
    if isinstance(split.read, ArrayImages):
        return 0, 0
    looked_at, pixels = split.sample(LOOKED_AT), []
    for i in range(len(looked_at)):
        with suppress(DataError):
            width, height = looked_at.read.size(i)
            pixels.append(width * height / reduction((width, height), side) ** 2)
    wanted = round(3 * len(split) * sum(pixels) / max(1, len(pixels)))
    return wanted, min(wanted, capacity())


def _folder(split: Split, side: int) -> Path:
    """By all that decides the pixels of a file."""
    decoding = getattr(split.read, "decoding", USUAL).as_dict()
    versions = {name: features.version(name) for name in _LIBRARIES}
    rule = json.dumps([RULES, side, decoding, versions], sort_keys=True)
    return pictures_folder() / key_of(rule.encode()).hex()
