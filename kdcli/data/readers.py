"""The ways in which a split reads one image; classes, so that worker processes can take them."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kdcli.core.arrays import Indices, Ints, Pixels
from kdcli.core.errors import DataError
from kdcli.core.progress import Progress
from kdcli.core.text import shown
from kdcli.data.decoding import Decoding
from kdcli.data.file_sums import bytes_sum, file_sums
from kdcli.data.images import USUAL, decode_image, image_dimensions, read_image, reduction
from kdcli.data.source import Split
from kdcli.data.thumbnails import reduced_grey, small_grey


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files by their paths: relative to `root`, or absolute (which `root / name` then is)."""

    root: Path
    names: tuple[str, ...]
    sums: Ints
    """(n, 2), by `file_sums`."""
    decoding: Decoding = USUAL

    def __call__(self, i: int) -> Pixels:
        return read_image(self.file(i), self.decoding)

    def reduced(self, i: int, side: int) -> Pixels:
        """Of large JPEG files at a fraction of the cost."""
        return read_image(self.file(i), self.decoding, side)

    def file(self, i: int) -> Path:
        """What is decoded."""
        return self.root / self.names[i]

    def size(self, i: int) -> tuple[int, int]:
        """Width and height, from the file's header."""
        return image_dimensions(self.file(i), self.file(i))

    def fingerprint(self, i: int) -> tuple[int, int]:
        """Of the whole file, read when the source was opened."""
        return int(self.sums[i, 0]), int(self.sums[i, 1])

    def thumbnail(self, i: int) -> Pixels:
        """Of the file."""
        return small_grey(self.file(i), self.file(i))

    def take(self, rows: Indices) -> "ImageFiles":
        """Some of the files."""
        names = tuple(self.names[row] for row in rows)
        return replace(self, names=names, sums=self.sums[rows])


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images in memory, uint8: RGB (n, H, W, 3), or grey (n, H, W), which is repeated to RGB."""

    images: Pixels

    def __call__(self, i: int) -> Pixels:
        image = self.images[i]
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)

    def reduced(self, i: int, side: int) -> Pixels:
        """As files of other formats than JPEG are."""
        times = reduction(self.size(i), side)
        return np.asarray(Image.fromarray(self(i)).reduce(times)) if times > 1 else self(i)

    def size(self, i: int) -> tuple[int, int]:
        """Width and height, the same for all."""
        return self.images.shape[2], self.images.shape[1]

    def fingerprint(self, i: int) -> tuple[int, int]:
        """Of the pixels."""
        return bytes_sum(self.images[i].tobytes())

    def thumbnail(self, i: int) -> Pixels:
        """Of the pixels."""
        return reduced_grey(Image.fromarray(self.images[i]))

    def take(self, rows: Indices) -> "ArrayImages":
        """Some of the images."""
        return ArrayImages(self.images[rows])


@dataclass(frozen=True, eq=False)
class HubImages:
    """Image files inside a table of Hugging Face's `datasets`."""

    table: Any
    """A datasets.Dataset whose column `image` is not decoded; pickled by its files' paths."""
    column: str
    rows: Indices
    """(n,) of the table."""
    sums: Ints
    """(n, 2), by `bytes_sum`."""
    name: str
    """Stands in errors, with the row."""
    decoding: Decoding = USUAL

    def __call__(self, i: int) -> Pixels:
        return decode_image(self.encoded(i), self._named(i), self.decoding)

    def reduced(self, i: int, side: int) -> Pixels:
        """As `ImageFiles` does."""
        return decode_image(self.encoded(i), self._named(i), self.decoding, side)

    def file(self, i: int) -> io.BytesIO:
        """What is decoded; raises DataError where the table holds none."""
        return io.BytesIO(self.encoded(i))

    def size(self, i: int) -> tuple[int, int]:
        """Width and height, from the image's header."""
        return image_dimensions(self.file(i), self._named(i))

    def fingerprint(self, i: int) -> tuple[int, int]:
        """Of the image file's bytes, read when the source was opened."""
        return int(self.sums[i, 0]), int(self.sums[i, 1])

    def thumbnail(self, i: int) -> Pixels:
        """Of the image's bytes."""
        return small_grey(io.BytesIO(self.encoded(i)), self._named(i))

    def take(self, rows: Indices) -> "HubImages":
        """Some of the images."""
        return replace(self, rows=self.rows[rows], sums=self.sums[rows])

    def encoded(self, i: int) -> bytes:
        """The image file's bytes; raises DataError where the table holds none."""
        cell = self.table[int(self.rows[i])][self.column] or {}
        if cell.get("bytes"):
            return bytes(cell["bytes"])
        path = cell.get("path")
        if not path or not Path(path).is_file():
            raise DataError(f"{self._named(i)}: no image ({path or 'an empty cell'})")
        return Path(path).read_bytes()

    def _named(self, i: int) -> str:
        return f"{self.name}, row {int(self.rows[i])}"


def open_files(root: Path, names: Sequence[str], progress: Progress) -> ImageFiles:
    """A reader of these files (relative to `root`, or absolute); each is read, or known to be as it
    was."""
    return ImageFiles(root, tuple(names), file_sums(root, names, progress))


def unique_ids(names: Sequence[str]) -> tuple[str, ...]:
    """The names as they can be written; those that would then be the same get a number.

    Ids stand in split.json, predictions.npz and messages, all of which are UTF-8.
    """
    ids = tuple(map(shown, names))
    if len(set(ids)) == len(ids):
        return ids
    return tuple(
        f"{name} #{i}" if name != raw else name
        for i, (raw, name) in enumerate(zip(names, ids, strict=True))
    )


def digest_of(given: Mapping[str, Split], classes: Sequence[str] = ()) -> str:
    """Of names and content of all files: what they are, wherever they lie.

    With `classes` also of each image's split and label, where its name does not tell them. Sorted:
    no order of files or rows counts. It is in the digest of every run that is made with the data.
    """
    known = sorted(
        (name, *split.read.fingerprint(i), *((role, classes[label]) if classes else ()))
        for role, split in given.items()
        for i, (name, label) in enumerate(zip(split.ids, split.labels, strict=True))
    )
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
