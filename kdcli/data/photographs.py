"""Whole photographs, from which each view of a training takes a part of its own."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import features
from torch import Tensor

from kdcli.core.arrays import Doubles, Indices, Pixels
from kdcli.core.errors import DataError
from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Progress
from kdcli.core.row_cache import key_of
from kdcli.data.augment import CROPPED
from kdcli.data.crops import crop
from kdcli.data.file_sums import UNREADABLE
from kdcli.data.images import USUAL, reduction
from kdcli.data.picture_cache import PictureCache, capacity, pictures_folder
from kdcli.data.readers import ArrayImages
from kdcli.data.source import Split, broken
from kdcli.data.store import MOST_BYTES, OnDemand, Store, open_store
from kdcli.data.threads import spread
from kdcli.recipe.edit import stored_size
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
        # A core makes some hundred crops a second. More than four take KD_WORKERS: each has its
        # memory, and where processes are spawned its own torch.
        return min(4, usable_cores())

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
            self.cache.put(key, found)
        return found


def open_training(
    split: Split, recipe: Recipe, progress: Progress, limit_bytes: int = MOST_BYTES
) -> Store:
    """Images to learn from as the recipe varies them: whole photographs where it crops, else
    squares; what synthetic images are made of are squares.

    Raises:
        DataError: images that are decoded now, and cannot be; all of them named.
        UsageError: `$KD_CACHE_BYTES` is no number.
    """
    side = stored_size(recipe)
    if recipe.data.augment not in CROPPED:
        return open_store(split, side, progress, limit_bytes)
    squares = open_store(split, side, progress, limit_bytes) if recipe.data.pool else None
    return open_photographs(split, side, progress, limit_bytes, squares)


def photograph_bytes(split: Split, side: int) -> int:
    """What all of them take, reduced: estimated from some of their headers."""
    some = split.sample(LOOKED_AT).read
    sizes = [some.size(i) for i in range(min(LOOKED_AT, len(split)))]
    pixels = [w * h / reduction((w, h), side) ** 2 for w, h in sizes]
    return round(3 * len(split) * float(np.mean(pixels)))


def open_photographs(
    split: Split,
    side: int,
    progress: Progress,
    limit_bytes: int = MOST_BYTES,
    squares: Store | None = None,
) -> Photographs:
    """The split, reduced to `side`; `squares` are its images as `fetch` gives them (None: decoded
    for each).

    Where all of them fit into the cache, and take at most `limit_bytes`, they are decoded now.

    Raises:
        DataError: images that are decoded now, and cannot be; all of them named.
        UsageError: `$KD_CACHE_BYTES` is no number.
    """
    kept = not isinstance(split.read, ArrayImages) and capacity() > 0
    cache = PictureCache(_folder(split, side)) if kept else None
    opened = Photographs(split, side, squares or OnDemand(split, side), cache)
    if cache and decoded_before(split, side, limit_bytes):

        def decode(i: int) -> DataError | None:
            try:
                opened.picture(i)
            except DataError as error:
                return error
            return None

        errors = [e for e in spread(len(split), decode, progress, "reading images") if e]
        if errors:
            raise broken(errors, len(split), split.way_out)
    return opened


def decoded_before(split: Split, side: int, limit_bytes: int = MOST_BYTES) -> bool:
    """Whether all photographs are decoded before the first step: they fit into the cache, and take
    at most `limit_bytes`. Those in memory need not be."""
    if isinstance(split.read, ArrayImages):
        return True
    most = min(limit_bytes, capacity())
    return most > 0 and photograph_bytes(split, side) <= most


def _folder(split: Split, side: int) -> Path:
    """By all that decides the pixels of a file."""
    decoding = getattr(split.read, "decoding", USUAL).as_dict()
    versions = {name: features.version(name) for name in _LIBRARIES}
    rule = json.dumps([RULES, side, decoding, versions], sort_keys=True)
    return pictures_folder() / key_of(rule.encode()).hex()
