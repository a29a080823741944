"""A part of Fashion-MNIST, from the IDX files of the Debian package dataset-fashion-mnist."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcli.data.order import permutation
from kdcli.data.sources.idx import read_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where `apt install dataset-fashion-mnist` puts them: no study fetches anything itself."""
WHOLE = 60_000


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
