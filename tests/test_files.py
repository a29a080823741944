"""Whole files or none, locks, sums."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdcli.errors import DiskError, InUse
from kdcli.files import atomic, lock, sha256, write_text

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


# The lock ----------------------------------------------------------------------------------------


def test_a_second_kd_in_the_same_folder_is_refused(tmp_path):
    with lock(tmp_path / "run"):
        with pytest.raises(InUse) as caught, lock(tmp_path / "run"):
            pass
        assert caught.value.code == 9
        assert "another kd is working in this run folder" in caught.value.what
        with lock(tmp_path / "other"):
            pass
    with lock(tmp_path / "run"):
        pass


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "run"):
        _ = 1 / 0
    with lock(tmp_path / "run"):
        pass


def test_the_lock_dies_with_its_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from kdcli.files import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    run = tmp_path / "run"
    child = subprocess.Popen([sys.executable, "-c", code, run], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline().strip() == "held"
        with pytest.raises(InUse), lock(run):
            pass
    finally:
        child.kill()
        child.communicate()
    with lock(run):
        pass


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(DiskError), lock(place):
            pass
