"""A folder of IDX files, as MNIST and Fashion-MNIST are published.

The format (http://yann.lecun.com/exdb/mnist): two bytes of 0, one for the type, one for the number
of dimensions, each dimension as four bytes, the highest first; then the numbers.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from kdcli.core.arrays import Indices, Pixels
from kdcli.core.errors import DataError
from kdcli.core.files import sha256
from kdcli.data.readers import ArrayImages
from kdcli.data.source import Defaults, Schedule, Source, Split
from kdcli.data.splits import complete

# Shared by all grey sets of torchvision. No flip: a mirrored digit or letter is none. 54,000 images
# in batches of 128 are 421 steps an epoch: ten epochs have four times the steps of digits' thirty.
DEFAULTS = Defaults(
    image_size=32,
    augment="shift",
    pretrained=False,
    small=Schedule(epochs=10, batch_size=128, lr=3e-3, patience=None),
    large=Schedule(epochs=5, batch_size=128, lr=1e-3, patience=None),
)

_FILES = (
    ("train", "images", 3),
    ("train", "labels", 1),
    ("t10k", "images", 3),
    ("t10k", "labels", 1),
)
_UNSIGNED_BYTES = 0x08


def holds_idx(folder: Path) -> bool:
    """Whether any of the four files lies there; `open_idx` says which ones are missing. Any, as a
    folder with three of them would else be refused as one without class folders."""
    return any(_find(folder, *file) for file in _FILES)


def open_idx(folder: Path) -> Source:
    """Train and test as published; a tenth of train, stratified, becomes the validation set.

    Raises DataError where a file is missing, damaged, foreign or does not fit the others.
    """
    files = [_required(folder, *file) for file in _FILES]
    images, labels = _labelled(files[0], files[1])
    test_images, test_labels = _labelled(files[2], files[3])
    classes = _classes(files[1], labels, files[3], test_labels)
    given = {
        "train": _split("train", images, labels),
        "test": _split("test", test_images, test_labels),
    }
    return complete(
        given,
        name=folder.resolve().name,
        where=str(folder),
        classes=classes,
        # by sum: MNIST, Fashion-MNIST and KMNIST have the same names and sizes
        identity={"kind": "idx", "files": [sha256(file) for file in files]},
        defaults=DEFAULTS,
    )


def read_idx(path: Path, dimensions: int) -> Pixels:
    """The array of one IDX file of unsigned bytes, gzipped or not; raises DataError."""
    try:
        opened: Any = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as file:
            return _read(file, path, dimensions)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, str(error)) from error


def _read(file: IO[bytes], path: Path, dimensions: int) -> Pixels:
    """What the header promises is looked at before memory is taken for it."""
    if file.read(4) != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        raise DataError(
            f"{path}: not an IDX file of unsigned bytes in {dimensions} dimension(s)",
            "take the files as MNIST and Fashion-MNIST publish them",
        )
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise _damaged(path, "it ends within its header")
    shape = tuple(int(n) for n in np.frombuffer(header, dtype=">u4"))
    sizes, promised = " x ".join(map(str, shape)), math.prod(shape)  # no header overflows Python's
    size = path.stat().st_size
    if promised > max(LARGE, DENSEST * size if path.suffix == ".gz" else size):
        raise _damaged(path, f"{sizes} bytes promised, of a file of {size:,}")
    data = file.read(promised + 1)
    if len(data) != promised:
        there = f"{len(data):,}" if len(data) < promised else "more"
        raise _damaged(path, f"{sizes} bytes promised, {there} there")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


LARGE, DENSEST = 1 << 28, 100
"""Bytes that a small file may unpack to, and to how many times itself a larger one may; images of
clothes come to 2, nothing but zeros to 1,000."""


def _labelled(image_file: Path, label_file: Path) -> tuple[Pixels, Indices]:
    images, labels = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(images) != len(labels) or not images.size:
        raise DataError(
            f"{image_file} has {len(images):,} images, {label_file.name} {len(labels):,} labels",
            "take both from the same data set",
        )
    return images, labels.astype(np.int64)


def _classes(file: Path, labels: Indices, test_file: Path, test_labels: Indices) -> tuple[str, ...]:
    known, tested = np.unique(labels), np.unique(test_labels)
    if len(known) < 2:
        raise DataError(f"{file}: one class only", "a classifier needs two classes or more")
    if not np.isin(tested, known).all():
        strange = sorted(set(tested.tolist()) - set(known.tolist()))
        raise DataError(
            f"{test_file}: labels {strange} never occur in {file.name}",
            "take both from the same data set",
        )
    # labels are places in the classifier's output: one that nobody has keeps its place
    return tuple(str(label) for label in range(int(known.max()) + 1))


def _split(part: str, images: Pixels, labels: Indices) -> Split:
    ids = tuple(f"{part}-{row:05d}" for row in range(len(labels)))
    return Split(labels, ids, ArrayImages(images))


def _find(folder: Path, part: str, what: str, dimensions: int) -> Path | None:
    # as published, and as some programs unpack them
    stems = (f"{part}-{what}-idx{dimensions}-ubyte", f"{part}-{what}.idx{dimensions}-ubyte")
    paths = (folder / (stem + suffix) for stem in stems for suffix in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _required(folder: Path, part: str, what: str, dimensions: int) -> Path:
    path = _find(folder, part, what, dimensions)
    if path is None:
        raise DataError(
            f"{folder}: {part}-{what}-idx{dimensions}-ubyte[.gz] is missing",
            "put all four IDX files into the folder",
        )
    return path


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: truncated or damaged ({reason})", "fetch the file again")
