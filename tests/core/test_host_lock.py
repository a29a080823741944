"""One host at a time: hosts are played by what `.holder` says of them, minutes by its age."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from kdcli.core import host_lock
from kdcli.core.errors import InUse
from kdcli.core.host_lock import DEAD, HOLDER, Holder, held
from kdcli.core.lock import in_use, lock

ELSEWHERE = Holder("node7", "another boot", 4711, "theirs")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def left_by(other: Holder, run: Path, seconds_ago: float = 0.0) -> Path:
    """What `other` left there when it was last heard of."""
    file = run / HOLDER
    file.write_text(json.dumps(asdict(other)), "utf-8")
    then = time.time() - seconds_ago
    os.utime(file, (then, then))
    return file


def test_another_host_is_refused_by_its_name(run):
    left_by(ELSEWHERE, run, seconds_ago=95)
    with pytest.raises(InUse) as caught, lock(run):
        pass
    assert caught.value.code == 9
    assert "kd on host node7 (process 4711) is working in this run folder" in caught.value.what
    assert "last heard of 1 min " in caught.value.what
    assert "10 min after it was last heard of" in caught.value.fix
    assert in_use(run)
    assert json.loads((run / HOLDER).read_text()) == asdict(ELSEWHERE)


def test_two_hosts_take_turns(run):
    with held(run, 0, Holder("a", "boot a")):
        with pytest.raises(InUse, match="host a "), held(run, 0, Holder("b", "boot b")):
            pass
        assert in_use(run)
    with held(run, 0, Holder("b", "boot b")):
        pass
    assert {entry.name for entry in run.iterdir()} <= {".lock"}
    assert not in_use(run)


def test_another_host_is_waited_for(run):
    file = left_by(ELSEWHERE, run)
    threading.Timer(0.3, file.unlink).start()
    with lock(run, wait=20):
        assert "node7" not in file.read_text()


@pytest.mark.parametrize("skew", [-7200, 0, 7200])
def test_a_dead_host_is_taken_over_whatever_the_clock_here(run, monkeypatch, skew):
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + skew)
    left_by(ELSEWHERE, run, seconds_ago=DEAD - 5 + skew)
    with pytest.raises(InUse), lock(run):
        pass
    left_by(ELSEWHERE, run, seconds_ago=DEAD + 5 + skew)
    assert not in_use(run)
    with lock(run):
        assert (run / HOLDER).is_file()
    assert not (run / HOLDER).exists()


def test_a_kill_on_this_host_leaves_nothing_to_wait_for(run):
    code = (
        "import sys, time; from pathlib import Path; from kdcli.core.lock import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, run], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline().strip() == "held"
    child.kill()
    child.communicate()
    assert (run / HOLDER).is_file()
    assert not in_use(run)
    with lock(run):
        pass


def test_a_holder_that_lives_is_touched(run, monkeypatch):
    monkeypatch.setattr(host_lock, "BEAT", 0.01)
    with held(run, 0):
        os.utime(run / HOLDER, (0, 0))
        deadline = time.monotonic() + 10
        while (run / HOLDER).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (run / HOLDER).stat().st_mtime > 0


def test_who_was_taken_over_ends(run, monkeypatch):
    """A process that slept for an hour must not write beside its successor."""
    said, ended = [], threading.Event()
    monkeypatch.setattr(host_lock, "BEAT", 0.01)
    monkeypatch.setattr(host_lock, "_leave", lambda why: (said.append(why), ended.set()))
    with held(run, 0):
        left_by(ELSEWHERE, run)
        assert ended.wait(10)
    assert "kd on host node7 has taken over this run" in said[0]
    assert (run / HOLDER).is_file()  # theirs stays


def test_of_many_hosts_one_takes_over_a_dead_one(run, monkeypatch):
    monkeypatch.setattr(host_lock, "_LOOK_AGAIN", 0.01)
    inside, most, done = [], [], []

    def work(name: str) -> None:
        with held(run, 60, Holder(name, name)):
            inside.append(name)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(name)
        done.append(name)

    left_by(ELSEWHERE, run, seconds_ago=DEAD + 60)
    hosts = [threading.Thread(target=work, args=(f"host {n}",)) for n in range(8)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert len(done) == 8
    assert max(most) == 1
    assert {entry.name for entry in run.iterdir()} <= {".lock"}


def test_what_a_faster_host_took_is_given_back(run):
    file = left_by(Holder("fast", "boot", 1, "fresh"), run)
    host_lock._clear_away(file, ELSEWHERE)
    assert "fresh" in file.read_text()


def test_a_file_system_without_links_will_do(run, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with held(run, 0, Holder("a", "a")), pytest.raises(InUse), held(run, 0, Holder("b", "b")):
        pass
    assert not (run / HOLDER).exists()


def test_what_cannot_be_read_is_somebody(run):
    (run / HOLDER).touch()
    with pytest.raises(InUse, match="host unknown"), lock(run):
        pass
