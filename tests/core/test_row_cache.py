"""Rows that are kept between runs: a damaged file costs time and nothing else, and none grows."""

from pathlib import Path

import pytest

from kdcli.core import row_cache
from kdcli.core.row_cache import RowCache, key_of

ONE, TWO, THREE = (key_of(name) for name in (b"a", b"b", b"c"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    cache = RowCache(tmp_path / "new" / "x.rows", width=3)
    cache.put(ONE, b"one")
    cache.save(asked=9)
    return cache.path


def test_what_was_saved_is_found_again(place: Path) -> None:
    assert RowCache(place, 3).get(ONE) == b"one"
    assert RowCache(place, 3).get(TWO) is None
    before = place.stat().st_mtime_ns
    RowCache(place, 3).save(asked=9)
    assert place.stat().st_mtime_ns == before


@pytest.mark.parametrize("end", [b"", b"x"])
def test_whatever_is_damaged_counts_as_empty(place: Path, end: bytes) -> None:
    whole = place.read_bytes()
    for i in range(len(whole)):
        place.write_bytes(whole[:i] + end)
        assert RowCache(place, 3).get(ONE) is None
        changed = bytes((whole[i] ^ 1,))
        place.write_bytes(whole[:i] + changed + whole[i + 1 :])
        assert RowCache(place, 3).get(ONE) is None
    cache = RowCache(place, 3)
    cache.put(TWO, b"two")
    cache.save(asked=9)
    assert RowCache(place, 3).get(TWO) == b"two"


def test_another_width_is_another_file(place: Path) -> None:
    assert RowCache(place, 4).get(ONE) is None
    assert RowCache(place, 1).get(ONE) is None


def test_what_another_kd_has_written_meanwhile_stays(place: Path) -> None:
    first, second = RowCache(place, 3), RowCache(place, 3)
    first.put(TWO, b"two")
    first.save(asked=9)
    second.put(THREE, b"333")
    second.save(asked=9)
    found = RowCache(place, 3)
    assert [found.get(key) for key in (ONE, TWO, THREE)] == [b"one", b"two", b"333"]


def test_rows_that_nobody_asks_for_go_in_the_end(place: Path) -> None:
    for number in range(40):
        cache = RowCache(place, 3)
        cache.put(key_of(bytes([number])), b"row")
        cache.save(asked=1)
    assert place.stat().st_size < 200


def test_all_together_have_a_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_cache, "MOST_BYTES", 150)
    cache = RowCache(place.with_name("y.rows"), 3)
    cache.put(ONE, b"one")
    cache.save(asked=1)
    assert {file.name for file in place.parent.iterdir()} == {"x.rows", "y.rows"}
    monkeypatch.setattr(row_cache, "MOST_BYTES", 100)
    cache.put(TWO, b"two")
    cache.save(asked=2)
    assert {file.name for file in place.parent.iterdir()} == {"y.rows"}


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = RowCache(tmp_path / "file" / "x.rows", 3)
    cache.put(ONE, b"one")
    cache.save(asked=1)
