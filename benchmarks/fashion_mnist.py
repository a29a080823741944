"""A part of Fashion-MNIST, from the IDX files of the Debian package dataset-fashion-mnist."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcli.data.order import permutation, uniform
from kdcli.data.sources.idx import read_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where `apt install dataset-fashion-mnist` puts them: no study fetches anything itself."""
WHOLE = 60_000
CLASSES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_WRONG = 0x77726F6E67


def some_fashion(pool: Path, images: int) -> Path:
    """IDX files with so many of the training images, drawn once and for all, and the whole test."""
    folder, rows = pool / f"fashion_mnist_{images}", np.sort(_shuffled()[:images])
    for part, kept in (("train", rows), ("t10k", slice(None))):
        for what, dimensions in (("images", 3), ("labels", 1)):
            name = f"{part}-{what}-idx{dimensions}-ubyte.gz"
            if not (folder / name).is_file():
                folder.mkdir(parents=True, exist_ok=True)
                _write_idx(folder / name, read_idx(DEBIAN / name, dimensions)[kept])
    return folder


def fashion_folder(pool: Path, train: int, validation: int = 500, wrong: float = 0.0) -> Path:
    """An image folder of PNG files, train/ val/ test/: so many of the training images, drawn once
    and for all, and the whole test. `wrong`: a share of the labels of train/ and val/, drawn at
    random, is another class's.
    """
    name = f"fashion_{train}_{validation}" + (f"_wrong{round(100 * wrong)}" if wrong else "")
    folder = pool / name
    if folder.is_dir():
        return folder
    rows, classes = _shuffled()[: train + validation], len(CLASSES)
    labels = read_idx(DEBIAN / "train-labels-idx1-ubyte.gz", 1).astype(np.int64)
    pixels = read_idx(DEBIAN / "train-images-idx3-ubyte.gz", 3)
    noisy = uniform(_WRONG, np.arange(WHOLE)) < wrong
    shift = 1 + (uniform(_WRONG, 1, np.arange(WHOLE)) * (classes - 1)).astype(np.int64)
    said = np.where(noisy, (labels + shift) % classes, labels)
    parts = {"train": rows[:train], "val": rows[train:]}
    half = pool / f"{name}.half"  # a kill leaves nothing that looks whole
    for part, members in parts.items():
        _write_folder(half / part, pixels, said, members)
    tested = read_idx(DEBIAN / "t10k-labels-idx1-ubyte.gz", 1).astype(np.int64)
    shown = read_idx(DEBIAN / "t10k-images-idx3-ubyte.gz", 3)
    _write_folder(half / "test", shown, tested, np.arange(len(tested)))
    half.rename(folder)
    return folder


def _write_folder(
    folder: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64], rows: NDArray[np.int64]
) -> None:
    for row in rows:
        place = folder / CLASSES[labels[row]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[row]).save(place / f"{row:05d}.png")


def further_fashion(pool: Path, behind: int, images: int) -> Path:
    """A folder of PNG files without labels: those that come behind the first `behind` of them."""
    folder = pool / f"fashion_mnist_{images}_unlabelled"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        pixels = read_idx(DEBIAN / "train-images-idx3-ubyte.gz", 3)
        for row in _shuffled()[behind : behind + images]:
            Image.fromarray(pixels[row]).save(folder / f"{row:05d}.png")
    return folder


def _shuffled() -> NDArray[np.int64]:
    """One order for both: images without labels lie behind those with, and are never the same."""
    return permutation(0, 0, WHOLE)


def _write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """As `read_idx` reads it; the same bytes every time, without gzip's clock: kd knows IDX files
    by their sha256, and would find none of the earlier runs."""
    head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))
