"""Rows that are kept between runs: a damaged file costs time and nothing else, and none grows."""

from pathlib import Path

import numpy as np
import pytest

from kdcli.core import row_cache
from kdcli.core.row_cache import RowCache, keys_of

ONE, TWO, THREE = b"a", b"b", b"c"


def get(cache: RowCache, name: bytes) -> bytes | None:
    known, rows = cache.find(keys_of([name]))
    return rows.tobytes() if known[0] else None


def put(cache: RowCache, name: bytes, row: bytes, asked: int = 9) -> None:
    cache.keep(keys_of([name]), np.frombuffer(row, np.uint8)[None], asked)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    cache = RowCache(tmp_path / "new" / "x.rows", width=3)
    put(cache, ONE, b"one", asked=9)
    return cache.path


def test_what_was_saved_is_found_again(place: Path) -> None:
    assert get(RowCache(place, 3), ONE) == b"one"
    assert get(RowCache(place, 3), TWO) is None
    before = place.stat().st_mtime_ns
    RowCache(place, 3).keep(keys_of([]), np.zeros((0, 3), np.uint8), asked=9)
    assert place.stat().st_mtime_ns == before


def test_of_many_each_key_finds_its_row(tmp_path: Path) -> None:
    names = [bytes([number]) for number in range(200)]
    cache = RowCache(tmp_path / "x.rows", 1)
    cache.keep(keys_of(names[:150]), np.arange(150, dtype=np.uint8)[:, None], asked=200)
    put(cache, names[7], b"x", asked=200)
    known, rows = cache.find(keys_of(names))
    assert known.tolist() == [number < 150 for number in range(200)]
    expected = [ord("x") if number == 7 else number * (number < 150) for number in range(200)]
    assert rows[:, 0].tolist() == expected


@pytest.mark.parametrize("end", [b"", b"x"])
def test_whatever_is_damaged_counts_as_empty(place: Path, end: bytes) -> None:
    whole = place.read_bytes()
    for i in range(len(whole)):
        place.write_bytes(whole[:i] + end)
        assert get(RowCache(place, 3), ONE) is None
        changed = bytes((whole[i] ^ 1,))
        place.write_bytes(whole[:i] + changed + whole[i + 1 :])
        assert get(RowCache(place, 3), ONE) is None
    cache = RowCache(place, 3)
    put(cache, TWO, b"two", asked=9)
    assert get(RowCache(place, 3), TWO) == b"two"


def test_another_width_is_another_file(place: Path) -> None:
    assert get(RowCache(place, 4), ONE) is None
    assert get(RowCache(place, 1), ONE) is None


def test_what_another_kd_has_written_meanwhile_stays(place: Path) -> None:
    put(RowCache(place, 3), TWO, b"two")
    put(RowCache(place, 3), TWO, b"222")
    found = RowCache(place, 3)
    put(found, THREE, b"333")
    assert [get(found, name) for name in (ONE, TWO, THREE)] == [b"one", b"222", b"333"]


def test_rows_that_nobody_asks_for_go_in_the_end(place: Path) -> None:
    for number in range(40):
        put(RowCache(place, 3), bytes([number]), b"row", asked=1)
    assert place.stat().st_size < 200


def test_all_together_have_a_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_cache, "MOST_BYTES", 150)
    cache = RowCache(place.with_name("y.rows"), 3)
    put(cache, ONE, b"one", asked=1)
    assert {file.name for file in place.parent.iterdir()} == {"x.rows", "y.rows"}
    monkeypatch.setattr(row_cache, "MOST_BYTES", 100)
    put(cache, TWO, b"two", asked=2)
    assert {file.name for file in place.parent.iterdir()} == {"y.rows"}


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = RowCache(tmp_path / "file" / "x.rows", 3)
    put(cache, ONE, b"one", asked=1)
