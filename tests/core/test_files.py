"""Whole files or none, locks, sums."""

import errno
import json
import os
from pathlib import Path

import pytest

from kdcli.core.errors import DiskError
from kdcli.core.files import atomic, atomic_folder, disk_errors, probe, sha256, write_text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "free some space, or give another place"),
        (errno.EACCES, "allow kd to write there (its permissions, its mount), or give"),
        (errno.EROFS, "its permissions"),
        (errno.ENOTDIR, "give another place with --out or KD_RUNS"),
    ],
)
def test_the_way_out_fits_the_refusal(tmp_path, number, words):
    with pytest.raises(DiskError) as caught, disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert words in caught.value.fix
    assert ("free some space" in caught.value.fix) == (number == errno.ENOSPC)


# Files: whole or not at all ----------------------------------------------------------------------


def test_an_exception_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    place = tmp_path / "deep" / "file.txt"
    write_text(place, "old")

    def break_off(error):
        with atomic(place) as beside:
            beside.write_text("half of the ne")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            break_off(error)
    assert place.read_text() == "old"
    assert [f.name for f in place.parent.iterdir()] == ["file.txt"]


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    place = tmp_path / "file.txt"
    with atomic(place) as beside:
        beside.write_text("new")
        assert not place.exists()
    assert place.read_text() == "new"
    write_text(place, "newer Ä")
    assert place.read_text("utf-8") == "newer Ä"
    assert list(tmp_path.iterdir()) == [place]


def test_a_place_that_cannot_be_written_is_a_disk_error():
    with pytest.raises(DiskError) as caught:
        write_text(Path("/proc/kd/file"), "x")
    assert caught.value.code == 6
    assert caught.value.what.startswith("/proc/kd/file: cannot be written")
    assert "KD_RUNS" in caught.value.fix


@pytest.mark.parametrize("place", ["parent/file", "parent/run/file"])
def test_a_place_below_a_regular_file_is_a_disk_error(tmp_path, place):
    (tmp_path / "parent").write_text("a regular file")
    with pytest.raises(DiskError):
        write_text(tmp_path / place, "x")


def test_a_full_disk_is_a_disk_error_and_keeps_the_old_file(tmp_path):
    place = tmp_path / "file"
    write_text(place, "old")
    with pytest.raises(DiskError, match="No space left"), atomic(place):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert place.read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256(tmp_path / "f").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_names_that_are_not_utf8_come_through_json(tmp_path):
    place = tmp_path / "file.json"
    names = ["z\udce4ro", "Ä"]
    write_text(place, json.dumps(names, ensure_ascii=False))
    assert json.loads(place.read_text("utf-8")) == names


# The probe ---------------------------------------------------------------------------------------


def test_a_probe_leaves_nothing(tmp_path):
    probe(tmp_path / "new" / "run")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    probe(tmp_path / "run")
    assert [f.name for f in tmp_path.rglob("*")] == ["run", "mine"]


def test_a_disk_that_is_full_is_found_out_at_once(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        probe(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_read_only_is_found_out_at_once(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file" / "run", tmp_path / "file", Path("/proc/kd")):
        with pytest.raises(DiskError) as caught:
            probe(place)
        assert caught.value.code == 6
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path):
    place = tmp_path / "there"
    with atomic_folder(place) as beside:
        (beside / "a").write_text("first")
        assert not place.exists()
    with pytest.raises(DiskError), atomic_folder(place) as beside:
        (beside / "no folder" / "a").write_text("second")
    assert (place / "a").read_text() == "first"
    with atomic_folder(place) as beside:
        (beside / "b").write_text("third")
    assert [entry.name for entry in place.iterdir()] == ["b"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["there"]
