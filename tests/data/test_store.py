"""Decoding into memory: in threads, the same as one by one, and every broken file named at once."""

import time
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, pictures

from kdcli.core.errors import DataError
from kdcli.core.progress import Silent
from kdcli.data.sources.folder import open_folder
from kdcli.data.store import open_store
from kdcli.data.threads import spread


def test_every_broken_file_is_named_with_its_reason(tmp_path: Path) -> None:
    pictures(tmp_path / "cat ä", 40)
    pictures(tmp_path / "dog", 40, first=100)
    source = open_folder(tmp_path)
    broken = {"text": b"hello", "empty": b"", "half": picture(tmp_path / "x.png").read_bytes()[:99]}
    for i, data in enumerate(broken.values()):
        (tmp_path / source.train.ids[20 * i]).write_bytes(data)
    with pytest.raises(DataError) as caught:
        open_store(source.train, 12, Silent())
    first, *named = caught.value.what.splitlines()
    assert first == "3 of 56 images cannot be read:"
    for i, reason in enumerate(("no image format that is known", "is empty", "truncated")):
        assert source.train.ids[20 * i] in named[i]
        assert reason in named[i]
    assert "no other image in their place" in caught.value.fix


def test_ten_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    pictures(tmp_path / "a", 30)
    pictures(tmp_path / "b", 30, first=100)
    source = open_folder(tmp_path)
    for name in source.train.ids:
        (tmp_path / name).write_bytes(b"-")
    with pytest.raises(DataError, match="42 of 42 images") as caught:
        open_store(source.train, 12, Silent())
    assert caught.value.what.count(".png") == 10
    assert caught.value.what.endswith("and 32 more")


def test_threads_change_no_bit(tmp_path: Path) -> None:
    pictures(tmp_path / "a", 90)
    pictures(tmp_path / "b", 90, first=100)
    train = open_folder(tmp_path).train
    everyone = np.arange(len(train))
    in_memory, on_demand = (open_store(train, 9, Silent(), limit) for limit in (2 << 30, 0))
    assert (in_memory.fetch(everyone) == on_demand.fetch(everyone)).all()


def test_work_comes_back_in_order_and_shows_a_bar_where_it_is_long() -> None:
    labels: list[str] = []

    class Watch(Silent):
        def track(self, items, total, label):  # type: ignore[no-untyped-def]
            labels.append(f"{label} {total}")
            yield from items

    assert spread(200, lambda i: i * i, Watch(), "short") == [i * i for i in range(200)]
    assert spread(5000, lambda i: -i, Watch(), "long") == [-i for i in range(5000)]
    assert spread(0, lambda i: i, Watch(), "none") == []
    assert labels == ["long 5000"]


def test_what_was_not_begun_is_given_up() -> None:
    done: list[int] = []

    def work(i: int) -> None:
        done.append(i)
        time.sleep(0.001)
        if i == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spread(6400, work, Silent(), "")
    assert len(done) < 3200
