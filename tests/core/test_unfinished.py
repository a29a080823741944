"""Half-written files: whose they are, and when they may go."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kdcli.core import unfinished
from kdcli.core.files import atomic, atomic_folder, atomic_pair
from kdcli.core.unfinished import YOUNG, beside, is_abandoned, is_leftover


@pytest.mark.parametrize(
    ("name", "left"),
    [
        (".model.pt.4711.tmp", True),
        (".model.pt.4711-0a1b2c3d-4e5f6071.tmp", True),
        (".run.yaml.1.tmp", True),
        ("model.pt", False),
        ("notes.tmp", False),
        (".notes.tmp", False),
        (".model.pt.4711.tmp.bak", False),
        (".model.pt.4711-0a1b2c3d.tmp", False),
    ],
)
def test_what_a_killed_kd_leaves_is_known_by_its_name(name, left):
    assert is_leftover(name) == left


def test_no_two_writers_share_a_name(tmp_path, monkeypatch):
    """As in two containers on one volume, where both kds have the same process id."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    names = {beside(tmp_path / "model.pt").name for _ in range(100)}
    assert len(names) == 100
    assert all(map(is_leftover, names))
    with atomic(tmp_path / "a") as one, atomic(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["x" * 255, "猫" * 85])
def test_the_longest_name_that_a_file_may_have_can_be_written(tmp_path, name):
    for write in (atomic, atomic_folder):
        with write(tmp_path / name) as new:
            assert is_leftover(new.name)
            new.touch()
        assert (tmp_path / name).exists()
        (tmp_path / name).rmdir() if write is atomic_folder else (tmp_path / name).unlink()


def _left_by_a_killed_process(folder: Path) -> Path:
    """A half-written model.pt of a process of this machine that is gone."""
    code = (
        "import os, sys; from pathlib import Path; from kdcli.core.unfinished import beside\n"
        "left = beside(Path(sys.argv[1]) / 'model.pt'); left.touch(); print(left)"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    return Path(done.stdout.strip())


def test_whoever_lives_is_left_alone_and_whoever_is_gone_is_known_at_once(tmp_path):
    mine = beside(tmp_path / "model.pt")
    mine.touch()
    assert not is_abandoned(mine)
    left = _left_by_a_killed_process(tmp_path)
    assert is_abandoned(left)
    with atomic(tmp_path / "model.pt") as new:
        new.touch()
    assert not left.exists(), "cleared away by the next who writes it"
    assert mine.exists()


@pytest.mark.parametrize(
    "name",
    [".model.pt.4711.tmp", ".model.pt.1-00000000-00000000.tmp"],
    ids=["older kd", "elsewhere"],
)
def test_where_nobody_can_be_asked_age_decides(tmp_path, name):
    left = tmp_path / name
    left.touch()
    assert not is_abandoned(left)
    long_ago = time.time() - YOUNG - 60
    os.utime(left, (long_ago, long_ago))
    assert is_abandoned(left)


def test_a_folder_is_as_young_as_what_is_in_it(tmp_path):
    left = tmp_path / ".timm.1-00000000-00000000.tmp"
    left.mkdir()
    (left / "model.safetensors").touch()
    os.utime(left, (0, 0))
    assert not is_abandoned(left)
    os.utime(left / "model.safetensors", (0, 0))
    os.utime(left, (0, 0))
    assert is_abandoned(left)


@pytest.mark.parametrize("write", [atomic_folder, atomic_pair])
def test_a_folder_that_a_killed_kd_left_is_no_obstacle(tmp_path, monkeypatch, write):
    """One of the same process id made the next writing fail."""
    monkeypatch.setattr(unfinished, "YOUNG", -1.0)
    for name in (f".there.{os.getpid()}.tmp", ".there.former.7-00000000-00000000.tmp"):
        (tmp_path / name).mkdir()
    more = () if write is atomic_folder else (tmp_path / "companion",)
    with write(tmp_path / "there", *more) as new:
        (new if more else new / "a").write_text("whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["there"]


def test_names_that_are_only_alike_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "YOUNG", -1.0)
    others = {".model.pt.bak.1.tmp", ".other.pt.1.tmp", ".model.pt.tmp"}
    for name in others:
        (tmp_path / name).touch()
    with atomic(tmp_path / "model.pt") as new:
        new.touch()
    assert {entry.name for entry in tmp_path.iterdir()} == others | {"model.pt"}
