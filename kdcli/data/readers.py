"""The ways in which a split reads one image; classes, so that worker processes can take them."""

import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kdcli.core.arrays import Indices, Ints, Pixels
from kdcli.core.errors import DataError
from kdcli.core.progress import Progress
from kdcli.core.text import shown
from kdcli.data.decoding import Decoding
from kdcli.data.file_sums import SETTLED, bytes_sum, look_at_files
from kdcli.data.images import USUAL, decode_image, image_dimensions, read_image, reduction
from kdcli.data.source import Split, at
from kdcli.data.thumbnails import reduced_grey, small_grey

AT_ONCE = 1000
"""Images whose names and sums are written together."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files by their paths: relative to `root`, or absolute (which `root / name` then is)."""

    root: Path
    names: tuple[str, ...]
    sums: Ints
    """(n, 2), by `look_at_files`, as are the sizes."""
    sizes: Ints
    decoding: Decoding = USUAL
    opened: int = field(default_factory=time.time_ns)
    """Before they were looked at."""

    def __call__(self, i: int) -> Pixels:
        return read_image(self.file(i), self.decoding)

    def unchanged(self, i: int) -> bool:
        """By its dates, which nobody can set back; where they are too new to tell, by its bytes."""
        try:
            if self.file(i).stat().st_ctime_ns < self.opened - SETTLED:
                return True
            return bytes_sum(self.file(i).read_bytes()) == self.fingerprint(i)
        except OSError:
            return False

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

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.root.absolute())

    def take(self, rows: Indices) -> "ImageFiles":
        """Some of the files."""
        return replace(
            self, names=at(self.names, rows), sums=self.sums[rows], sizes=self.sizes[rows]
        )


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images in memory, uint8: RGB (n, H, W, 3), or grey (n, H, W), which is repeated to RGB."""

    images: Pixels
    place: str = ""

    def __call__(self, i: int) -> Pixels:
        image = self.images[i]
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)

    def reduced(self, i: int, side: int) -> Pixels:
        """As files of other formats than JPEG are."""
        times = reduction(self.size(i), side)
        return np.asarray(Image.fromarray(self(i)).reduce(times)) if times > 1 else self(i)

    def unchanged(self, i: int) -> bool:
        """Nobody else holds them."""
        return True

    def size(self, i: int) -> tuple[int, int]:
        """Width and height, the same for all."""
        return self.images.shape[2], self.images.shape[1]

    def fingerprint(self, i: int) -> tuple[int, int]:
        """Of the pixels."""
        return bytes_sum(self.images[i].tobytes())

    def thumbnail(self, i: int) -> Pixels:
        """Of the pixels."""
        return reduced_grey(Image.fromarray(self.images[i]))

    @property
    def sums(self) -> Ints:
        """(n, 2)."""
        found = [self.fingerprint(i) for i in range(len(self.images))]
        return np.array(found, np.int64).reshape(-1, 2)

    @property
    def sizes(self) -> Ints:
        """(n, 2), all the same."""
        return np.broadcast_to(np.array(self.size(0)), (len(self.images), 2))

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
    """(n, 2), by `table_looks`, as are the sizes."""
    sizes: Ints
    name: str
    """Stands in errors, with the row."""
    decoding: Decoding = USUAL

    def __call__(self, i: int) -> Pixels:
        return decode_image(self.encoded(i), self._named(i), self.decoding)

    def reduced(self, i: int, side: int) -> Pixels:
        """As `ImageFiles` does."""
        return decode_image(self.encoded(i), self._named(i), self.decoding, side)

    def unchanged(self, i: int) -> bool:
        """A table is not written to."""
        return True

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

    @property
    def place(self) -> str:
        """The table's name."""
        return self.name

    def take(self, rows: Indices) -> "HubImages":
        """Some of the images."""
        return replace(self, rows=self.rows[rows], sums=self.sums[rows], sizes=self.sizes[rows])

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


def open_splits(
    root: Path, listed: Mapping[str, tuple[Sequence[str], Indices]], progress: Progress
) -> dict[str, Split]:
    """The files of each split (relative to `root`, or absolute), and their labels; each file is
    read, or known to be as it was."""
    opened = time.time_ns()
    looks = look_at_files(root, [n for names, _ in listed.values() for n in names], progress)
    splits, begin = {}, 0
    for role, (names, labels) in listed.items():
        part = slice(begin, begin := begin + len(names))
        read = ImageFiles(root, tuple(names), looks.sums[part], looks.sizes[part], opened=opened)
        splits[role] = Split(labels, unique_ids(read.names), read)
    return splits


def unique_ids(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as they can be written; those that would then be the same get a number.

    Ids stand in split.json, predictions.npz and messages, all of which are UTF-8.
    """
    ids = tuple(map(shown, names))
    if len(set(ids)) == len(ids):
        return names if names == ids else ids
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
        (name, first, second, *((role, classes[label]) if classes else ()))
        for role, split in given.items()
        for name, (first, second), label in zip(
            split.ids, split.read.sums.tolist(), split.labels.tolist(), strict=True
        )
    )
    found = hashlib.sha256(b"[")
    for start in range(0, len(known), AT_ONCE):  # as JSON of all, of which a piece is in memory
        text = json.dumps(known[start : start + AT_ONCE])[1:-1]
        found.update(f"{', ' if start else ''}{text}".encode())
    found.update(b"]")
    return found.hexdigest()
