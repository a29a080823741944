"""The ways in which a split reads one image; classes, so that worker processes can take them."""

import hashlib
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Indices, Ints, Pixels
from kdcli.core.errors import DataError
from kdcli.core.files import sha256
from kdcli.core.progress import Progress
from kdcli.core.text import shown
from kdcli.data.decoding import Decoding
from kdcli.data.images import USUAL, decode_image, image_dimensions, read_image
from kdcli.data.source import Split
from kdcli.data.threads import WAITING, spread

END = 4096
"""Bytes of a file's beginning and of its end that tell it from others: a block of most disks each,
where reading all of ImageNet would take many minutes at every start. Compressed images that differ
mostly do so there, too; of a BMP whose middle alone was changed it does not show."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files by their paths: relative to `root`, or absolute (which `root / name` then is)."""

    root: Path
    names: tuple[str, ...]
    prints: Ints
    """(n, 2), by `file_print`."""
    decoding: Decoding = USUAL

    def __call__(self, i: int) -> Pixels:
        return read_image(self.file(i), self.decoding)

    def file(self, i: int) -> Path:
        """What is decoded."""
        return self.root / self.names[i]

    def size(self, i: int) -> tuple[int, int]:
        """Width and height, from the file's header."""
        return image_dimensions(self.root / self.names[i], self.root / self.names[i])

    def fingerprint(self, i: int) -> tuple[int, int]:
        """Of size and both ends, read once when the source was opened."""
        return int(self.prints[i, 0]), int(self.prints[i, 1])

    def content(self, i: int) -> str:
        """sha256 of the file."""
        path = self.root / self.names[i]
        try:
            return sha256(path)
        except OSError as error:
            raise DataError(f"{shown(path)}: {(error.strerror or str(error)).lower()}") from error

    def take(self, rows: Indices) -> "ImageFiles":
        """Some of the files."""
        names = tuple(self.names[row] for row in rows)
        return replace(self, names=names, prints=self.prints[rows])


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images in memory, uint8: RGB (n, H, W, 3), or grey (n, H, W), which is repeated to RGB."""

    images: Pixels

    def __call__(self, i: int) -> Pixels:
        image = self.images[i]
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)

    def size(self, i: int) -> tuple[int, int]:
        """Width and height, the same for all."""
        return self.images.shape[2], self.images.shape[1]

    def fingerprint(self, i: int) -> tuple[int, int]:
        """Of the pixels."""
        return self.images[i].size, zlib.crc32(self.images[i].tobytes())

    def content(self, i: int) -> str:
        """sha256 of the pixels."""
        return hashlib.sha256(self.images[i].tobytes()).hexdigest()

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
    prints: Ints
    """(n, 2), by `bytes_print`."""
    name: str
    """Stands in errors, with the row."""
    decoding: Decoding = USUAL

    def __call__(self, i: int) -> Pixels:
        return decode_image(self.encoded(i), self._named(i), self.decoding)

    def file(self, i: int) -> io.BytesIO:
        """What is decoded; raises DataError where the table holds none."""
        return io.BytesIO(self.encoded(i))

    def size(self, i: int) -> tuple[int, int]:
        """Width and height, from the image's header."""
        return image_dimensions(self.file(i), self._named(i))

    def fingerprint(self, i: int) -> tuple[int, int]:
        """Of length and both ends, read once when the source was opened."""
        return int(self.prints[i, 0]), int(self.prints[i, 1])

    def content(self, i: int) -> str:
        """sha256 of the image's bytes."""
        return hashlib.sha256(self.encoded(i)).hexdigest()

    def take(self, rows: Indices) -> "HubImages":
        """Some of the images."""
        return replace(self, rows=self.rows[rows], prints=self.prints[rows])

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


def file_print(path: Path) -> tuple[int, int]:
    """Size, and a sum over both ends: cheap, and another image of the same size shows.

    CRC-32, as it guards against chance alone; `content` decides where two prints are equal.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(END)
            stream.seek(max(0, size - END))
            return size, zlib.crc32(stream.read(END), zlib.crc32(head))
    except OSError:  # reading the image will say why
        return -1, -1


def bytes_print(size: int, head: bytes, tail: bytes) -> tuple[int, int]:
    """The same of a file's size, first and last `END` bytes."""
    return size, zlib.crc32(tail, zlib.crc32(head))


def open_files(root: Path, names: Sequence[str], progress: Progress) -> ImageFiles:
    """A reader of these files (relative to `root`, or absolute); looks at both ends of each."""
    prints = spread(
        len(names),
        lambda i: file_print(root / names[i]),
        progress,
        "looking at files",
        per_core=WAITING,
    )
    return ImageFiles(root, tuple(names), np.array(prints, dtype=np.int64).reshape(-1, 2))


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
    """Of names, sizes and ends of all files: what they are, wherever they lie.

    With `classes` also of each image's split and label, where its name does not tell them. Sorted:
    no order of files or rows counts. It is in the digest of every run that is made with the data.
    """
    known = sorted(
        (name, *split.read.fingerprint(i), *((role, classes[label]) if classes else ()))
        for role, split in given.items()
        for i, (name, label) in enumerate(zip(split.ids, split.labels, strict=True))
    )
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
