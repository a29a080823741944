"""One kd at a time in a folder."""

import subprocess
import sys
import threading
import time

import pytest

from kdcli.core.errors import DiskError, InUse
from kdcli.core.lock import in_use, lock


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
        "import sys, time; from pathlib import Path; from kdcli.core.lock import lock\n"
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


def test_a_folder_in_use_is_seen_without_making_anything(tmp_path):
    run = tmp_path / "run"
    assert not in_use(run)
    run.mkdir()
    assert not in_use(run)
    assert list(run.iterdir()) == []
    with lock(run):
        assert in_use(run)
        (run / "made").touch()
    assert not in_use(run)


def test_another_one_is_waited_for(tmp_path):
    order = []

    def work():
        with lock(tmp_path / "run"):
            order.append("other")
            held.set()
            time.sleep(0.8)
            order.append("other is done")

    held, other = threading.Event(), threading.Thread(target=work)
    other.start()
    held.wait(10)
    with lock(tmp_path / "run", wait=20):
        order.append("mine")
    other.join()
    assert order == ["other", "other is done", "mine"]


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def no_locks(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("kdcli.core.lock.FileLock.acquire", no_locks)
    with pytest.raises(DiskError, match="knows no locks"), lock(tmp_path / "run"):
        pass
