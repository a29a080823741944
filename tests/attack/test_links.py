"""A run folder is a stranger's property: nothing is written through a link that lies in it, nothing
is removed behind one (rows 12 and 35, and the log of row 48)."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from house import House, kd, kd_ok

from kdcli.core.errors import DiskError
from kdcli.core.host_lock import LOCKS
from kdcli.core.links import append, open_to_append
from kdcli.core.lock import lock
from kdcli.core.log import Logbook
from kdcli.jobs.engine import log_of, open_log
from kdcli.jobs.node import Node
from kdcli.runs.run import Run
from kdcli.training.resume import log

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
MINE = "a person's own\n"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """What links lead to."""
    place = tmp_path / "mine"
    place.write_text(MINE)
    return place


def linked(place: Path, target: Path) -> Path:
    place.unlink(missing_ok=True)
    place.symlink_to(target)
    return place


# What appends ------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing"])
def test_nothing_is_appended_through_a_link(there: bool, mine: Path, tmp_path: Path) -> None:
    target = mine if there else tmp_path / "not yet"
    with pytest.raises(DiskError, match="a link") as caught:
        append(linked(tmp_path / "run.log", target), "x")
    assert "rm " in str(caught.value.fix)
    assert mine.read_text() == MINE
    assert not (tmp_path / "not yet").exists()


def test_a_link_that_comes_in_between_is_not_followed(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.core.links.refuse_link", lambda path: None)
    with pytest.raises(DiskError):
        append(linked(tmp_path / "run.log", mine), "x")
    assert mine.read_text() == MINE


def _pipe(place: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("make", [Path.mkdir, _pipe], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "run.log")
    with pytest.raises(DiskError):
        open_to_append(tmp_path / "run.log")


def test_it_appends(tmp_path: Path) -> None:
    append(tmp_path / "new", "one\n")
    append(tmp_path / "new", "zw\udcff\n")
    assert (tmp_path / "new").read_text() == "one\nzw\\udcff\n"


def test_a_log_behind_a_link_is_told_once_and_stops_nothing(mine: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    with Logbook("", heard.append).open(linked(tmp_path / "run.log", mine)) as write:
        write("one")
        write("two")
    (said,) = heard
    assert "a link" in said
    assert said.endswith("going on")
    assert mine.read_text() == MINE


def test_metrics_behind_a_link_end_a_training(mine: Path, tmp_path: Path) -> None:
    linked(tmp_path / "metrics.jsonl", mine)
    with pytest.raises(DiskError, match="a link"):
        log(Run(tmp_path), {"epoch": 1})
    assert mine.read_text() == MINE


def test_the_log_of_a_sweeps_job(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KD_RUNS", str(tmp_path))
    node = Node("a", "student", "a", "kd list runs", (), tmp_path, lambda: True)
    log_of(node).parent.mkdir()
    linked(log_of(node), mine)
    with pytest.raises(DiskError, match="a link"), open_log(node):
        pass
    assert mine.read_text() == MINE


@pytest.mark.parametrize("name", [".lock", ".holder"])
def test_a_lock_behind_a_link(name: str, mine: Path, tmp_path: Path) -> None:
    """Of `.lock` the system's lock is asked, `.holder` is made anew."""
    run = tmp_path / "run"
    run.mkdir()
    linked(run / name, mine)
    os.utime(mine, (0, 0))
    if name == ".lock":
        with pytest.raises(DiskError), lock(run):
            pass
    else:
        with lock(run):
            assert not (run / name).is_symlink()
    assert mine.read_text() == MINE


# Commands ----------------------------------------------------------------------------------------


def stolen(run: Path, place: Path) -> dict[Path, bytes]:
    """Every file of the run lies elsewhere, and a link in its stead; what they hold."""
    found = {}
    for file in [f for f in run.rglob("*") if f.is_file() and f.name not in LOCKS]:
        target = place / file.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, target)
        file.symlink_to(target)
        found[target] = target.read_bytes()
    return found


def untouched(before: dict[Path, bytes]) -> None:
    assert {place: place.read_bytes() for place in before} == before


def test_an_export_into_a_folder_that_is_a_link(finished: House, tmp_path: Path) -> None:
    """`export/` leads elsewhere: refused; `--again` removes nothing there."""
    folder, elsewhere = finished.student / "export", tmp_path / "elsewhere"
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)
    before = {file: file.read_bytes() for file in elsewhere.iterdir()}
    answer = kd("export", finished.student)
    assert answer.code == 6, answer.err
    assert "export: cannot be written (a link" in answer.err
    Run(finished.student).clear_exports()
    untouched(before)
    kd_ok("export", finished.student, "--out", folder)  # a person has named it


def test_an_export_into_files_that_are_links(finished: House, tmp_path: Path) -> None:
    before = stolen(finished.student, tmp_path / "theirs")
    answer = kd_ok("export", finished.student)
    assert "run.log: cannot be written (a link" in answer.err
    untouched(before)


@pytest.mark.attack
@pytest.mark.parametrize(
    "line",
    [("evaluate",), ("export", "--format", "timm"), ("report",), ("again",), ("prune",)],
    ids=" ".join,
)
def test_no_command_writes_through_a_link(
    line: tuple[str, ...], finished: House, tmp_path: Path
) -> None:
    if "timm" in line:
        kd_ok("export", finished.student, "--format", "timm")
    before = stolen(finished.student, tmp_path / "theirs")
    if line == ("again",):
        made = tmp_path / "theirs" / "run.log"
        words = made.read_text("utf-8").partition("kd distill")[2].splitlines()[0]
        assert kd("distill", *words.split(), "--again").code in (0, 6)
    elif line == ("prune",):
        kd_ok("list", "runs", "--prune", "--yes")
    else:
        kd_ok(line[0], finished.student, *line[1:])
    untouched(before)
