"""IDX files as published, gzipped or not; damaged ones are named."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kdcli.core.errors import DataError
from kdcli.data.sources.idx import holds_idx, open_idx, read_idx

FASHION = Path("/usr/share/datasets/fashion-mnist")


def packed(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def pixels(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def labels(count: int, num_classes: int = 4) -> NDArray[np.uint8]:
    return (np.arange(count) % num_classes).astype(np.uint8)


def written(folder: Path, suffix: str = "", dot: str = "-") -> Path:
    for part, count in (("train", 40), ("t10k", 8)):
        for name, array in (("images", pixels(count)), ("labels", labels(count))):
            path = folder / f"{part}-{name}{dot}idx{array.ndim}-ubyte{suffix}"
            path.write_bytes(gzip.compress(packed(array)) if suffix else packed(array))
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
def test_round_trip(tmp_path: Path, suffix: str, dot: str) -> None:
    source = open_idx(written(tmp_path, suffix, dot))
    assert source.classes == ("0", "1", "2", "3")
    assert [len(s) for s in (source.train, source.validation, source.test)] == [36, 4, 8]
    assert source.carved == {"validation": list(source.validation.ids)}
    first = int(source.train.ids[0].removeprefix("train-"))
    assert (source.train.read(0) == pixels(40)[first, ..., None]).all()
    assert source.test.labels.tolist() == labels(8).tolist()


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("left", [6, 100, -1])
def test_truncated(tmp_path: Path, suffix: str, left: int) -> None:
    path = written(tmp_path, suffix) / f"t10k-images-idx3-ubyte{suffix}"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match=rf"{path.name}: truncated or damaged"):
        open_idx(tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 3)) + (10**9).to_bytes(4) * 3 + bytes(10**6)))
    with pytest.raises(DataError, match="bytes promised, of a file of"):
        read_idx(path, 3)
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 1)) + (3).to_bytes(4) + bytes(10**6)))
    with pytest.raises(DataError, match="3 bytes promised, more there"):
        read_idx(path, 1)


def test_foreign(tmp_path: Path) -> None:
    path = written(tmp_path) / "train-labels-idx1-ubyte"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(DataError, match=rf"{path.name}: not an IDX file"):
        read_idx(path, 1)


def test_missing(tmp_path: Path) -> None:
    (written(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    assert holds_idx(tmp_path)
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.* is missing"):
        open_idx(tmp_path)


def test_images_and_labels_that_differ_in_number(tmp_path: Path) -> None:
    (written(tmp_path) / "train-labels-idx1-ubyte").write_bytes(packed(labels(39)))
    with pytest.raises(DataError, match="40 images, train-labels-idx1-ubyte 39 labels"):
        open_idx(tmp_path)


def test_test_labels_that_train_does_not_know(tmp_path: Path) -> None:
    (written(tmp_path) / "t10k-labels-idx1-ubyte").write_bytes(packed(labels(8, 6)))
    with pytest.raises(DataError, match=r"labels \[4, 5\] never occur"):
        open_idx(tmp_path)


def test_single_class(tmp_path: Path) -> None:
    (written(tmp_path) / "train-labels-idx1-ubyte").write_bytes(packed(labels(40, 1)))
    with pytest.raises(DataError, match="one class only"):
        open_idx(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason="apt-get install dataset-fashion-mnist")
def test_fashion_mnist_as_debian_packs_it() -> None:
    source = open_idx(FASHION)
    assert [len(s) for s in (source.train, source.validation, source.test)] == [54000, 6000, 10000]
    assert np.bincount(source.validation.labels).tolist() == [600] * 10


def test_other_images_of_the_same_names_and_sizes_are_other_data(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        written(folder)
    path = other / "train-labels-idx1-ubyte"
    path.write_bytes(packed(labels(40)[::-1].copy()))
    assert open_idx(one).identity == open_idx(written(one)).identity
    assert open_idx(one).identity != open_idx(other).identity
