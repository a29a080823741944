"""Decoded pictures that are kept: whole or not there, within bounds, by any number of processes."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kdcli.core.errors import UsageError
from kdcli.data import picture_cache
from kdcli.data.picture_cache import PictureCache, capacity, pictures_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_CACHE", str(tmp_path))
    monkeypatch.delenv("KD_CACHE_BYTES", raising=False)
    return pictures_folder() / "rule"


def picture(i: int) -> NDArray[np.uint8]:
    """Of differing sizes."""
    return np.random.default_rng(i).integers(0, 256, (3 + i, 5, 3), dtype=np.uint8)


def filled(folder: Path, *numbers: int) -> None:
    cache = PictureCache(folder)
    for i in numbers:
        cache.put((i, -i), picture(i))


def there(folder: Path, count: int = 4) -> list[int]:
    """Which of the pictures are found; those that are have their very pixels."""
    cache = PictureCache(folder)
    found = [i for i in range(count) if cache.get((i, -i)) is not None]
    assert all(np.array_equal(cache.get((i, -i)), picture(i)) for i in found)  # type: ignore[arg-type]
    return found


def test_what_others_write_is_found_without_opening_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_cache, "PATIENCE", 0)
    cache = PictureCache(folder)
    assert cache.get((0, 0)) is None
    filled(folder, 0)
    assert np.array_equal(cache.get((0, 0)), picture(0))  # type: ignore[arg-type]
    filled(folder, 1)
    process = multiprocessing.get_context("fork").Process(
        target=cache.put, args=((2, -2), picture(2))
    )
    cache.put((3, -3), picture(3))
    process.start()
    process.join()
    assert np.array_equal(cache.get((2, -2)), picture(2))  # type: ignore[arg-type]
    assert cache.get((0, 1)) is None, "the whole key counts"
    assert there(folder) == [0, 1, 2, 3]
    assert len(list(folder.glob("*.rows"))) == 4, "none writes into another's"


@pytest.mark.parametrize("part", ["pixels", "rows"])
def test_a_kill_at_any_byte_leaves_what_was_whole(folder: Path, part: str) -> None:
    filled(folder, 0, 1, 2)
    file = next(folder.glob(f"*.{part}"))
    whole = file.read_bytes()
    counts = []
    for length in range(len(whole) + 1):
        file.write_bytes(whole[:length])
        found = there(folder, 3)
        assert found == list(range(len(found)))
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[-1] == 3
    assert counts[-2] == 2


def test_damage_is_not_a_picture_and_is_put_right(folder: Path) -> None:
    filled(folder, 0, 1)
    for part in ("pixels", "rows"):
        file = next(folder.glob(f"*.{part}"))
        whole = bytearray(file.read_bytes())
        whole[-7] ^= 1
        file.write_bytes(whole)
        assert there(folder) == [0]
    (folder / "foreign.rows").write_bytes(bytes(400))
    (folder / "foreign.pixels").write_bytes(bytes(400))
    assert there(folder) == [0]
    filled(folder, 1)
    assert there(folder) == [0, 1]


def test_no_more_than_there_is_room_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_CACHE_BYTES", str(picture(0).nbytes + picture(1).nbytes + 50))
    filled(folder, 0, 1, 2)
    assert there(folder) == [0, 1]
    filled(folder, 3)
    assert there(folder) == [0, 1], "the folder in use stays"
    monkeypatch.setenv("KD_CACHE_BYTES", "0")
    assert capacity() == 0
    monkeypatch.setenv("KD_CACHE_BYTES", "10 GB")
    with pytest.raises(UsageError, match="KD_CACHE_BYTES=10 GB"):
        capacity()
    monkeypatch.delenv("KD_CACHE_BYTES")
    monkeypatch.setattr(picture_cache, "SHARE_OF_DISK", 10**15)
    assert capacity() == 0


def test_least_recently_used_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [folder.parent / name for name in ("older", "old", "new")]
    for days, other in zip((3, 2, 0), others, strict=True):
        filled(other, 9)
        os.utime(other, (time.time() - days * 86_400,) * 2)
    monkeypatch.setattr(picture_cache, "PIECE", picture(9).nbytes)
    monkeypatch.setenv("KD_CACHE_BYTES", str(3 * (picture(9).nbytes + 40)))
    filled(folder, 9)
    assert [other.exists() for other in others] == [False, True, True]


def test_where_nothing_can_be_written_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "file"))
    filled(pictures_folder() / "rule", 0)
    assert there(pictures_folder() / "rule") == []
