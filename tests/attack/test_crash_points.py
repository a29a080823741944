"""kd is killed in front of every touch of the disk, and the command repeated: everything is then
as if nobody had killed it, bit for bit (rows 1, 33, 34)."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from forked import Death, essence, run, runs_of, touched
from house import STUDENT, TEACHER

from kdcli.core.host_lock import HOLDER
from kdcli.core.unfinished import is_leftover

Line = tuple[str, ...]
QUICK = "scheme: alone\ntask: {weight: 1.0}\ntrain: {epochs: 2, batch_size: 32}\n"
ON_DIGITS = ("--data", "digits", "--set", "data.subset=0.2", "--set", "train.epochs=2")
DISTILL = ("distill", "--teacher", TEACHER, "--student", STUDENT, *ON_DIGITS)


@dataclass(frozen=True)
class Chain:
    """Commands of which the last one is killed."""

    before: tuple[Line, ...]
    line: Line
    again: Line | None = None
    """What is repeated; None: the same."""
    prepare: Callable[[Path], None] = lambda runs: None
    """In between."""
    only: str = ""
    """In the name of what is touched; all else another chain touches as well."""


def forget_the_student(runs: Path) -> None:
    """And let its teacher grow old: nobody needs it any more."""
    for student in runs.glob("kd-*"):
        shutil.rmtree(student)
    for file in runs.glob("teacher-*/*"):
        os.utime(file, (0, 0))


STORED = ("--set", "teacher.answers=stored", "--set", "train.batch_size=32")
CHAINS = {
    "distill": Chain((), DISTILL),
    "again": Chain((DISTILL,), (*DISTILL, "--again"), again=DISTILL),
    "stored answers": Chain((), (*DISTILL, *STORED), only="answers"),
    "evaluate": Chain((DISTILL,), ("evaluate",)),
    "export": Chain((DISTILL, ("evaluate",)), ("export",)),
    "timm": Chain((DISTILL,), ("export", "--format", "timm")),
    "prune": Chain((DISTILL,), ("list", "runs", "--prune", "--yes"), prepare=forget_the_student),
}
PARTS = 4
"""Of the points of a chain, each a test: they are shared out among processes."""


@pytest.mark.attack
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", CHAINS)
def test_killed_anywhere_and_repeated_it_ends_the_same(
    name: str, part: int, tmp_path: Path, shared: Path
) -> None:
    tried = survive(CHAINS[name], tmp_path, shared, lambda at: at % PARTS == part)
    assert tried
    print(f"{name}, part {part + 1} of {PARTS}: {tried} deaths")


@pytest.mark.parametrize("name", ["distill"])
def test_killed_at_a_few_points(name: str, tmp_path: Path, shared: Path) -> None:
    assert survive(CHAINS[name], tmp_path, shared, lambda at: at in (31, 64)) > 1


def survive(chain: Chain, folder: Path, shared: Path, chosen: Callable[[int], bool]) -> int:
    """Kill it at each point that is chosen, and where something may be torn once more; how often
    it was killed."""
    # always in the same place: paths are written down
    home, before, memory = folder / "home", folder / "before", shared / "onnx"
    home.mkdir()
    (home / "quick.yaml").write_text(QUICK)
    for line in chain.before:
        _run(home, line, memory)
    chain.prepare(runs_of(home))
    shutil.copytree(home, before)
    _run(home, chain.line, memory, Death())
    points, wanted = touched(home), essence(runs_of(home))
    known = [at for at, point in enumerate(points, 1) if chain.only in point]
    places = list(filter(chosen, known))
    deaths = [Death(at) for at in places]
    deaths += [Death(at, torn=True) for at in places if points[at - 1].startswith("fsync")]
    for death in deaths:
        shutil.rmtree(home)
        shutil.copytree(before, home)
        where = f"{points[death.at - 1]}, {death}"
        assert run(home, _words(home, chain.line), death=death, memory=memory).code == -9, where
        answer = run(home, _words(home, chain.again or chain.line), memory=memory)
        assert answer.code == 0, f"{where}: {answer.err}"
        found = essence(runs_of(home))
        left = [path for path in found if any(map(is_leftover, Path(path).parts))]
        left = [path for path in left if HOLDER not in path]  # of a folder that it need not enter
        assert not left, (where, left)
        other = {path for path in found.keys() ^ wanted.keys() if HOLDER not in path}
        assert not other, (where, other)
        assert [name for name in wanted if found[name] != wanted[name]] == [], where
    return len(deaths)


def _run(folder: Path, line: Line, memory: Path, death: Death | None = None) -> None:
    answer = run(folder, _words(folder, line), death=death, memory=memory)
    assert answer.code == 0, answer.err


def _words(folder: Path, line: Line) -> Sequence[str]:
    quick = ("--set", f"teacher.recipe={folder / 'quick.yaml'}")
    return (*line, *(quick if "--teacher" in line else ()))
