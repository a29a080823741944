"""What kd keeps to whatever it is given, and how many cases it is tried with."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch  # noqa: F401  # else `thrift.hurry` hurries nothing
from house import Answer, kd
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis.strategies import SearchStrategy

from kdcli.core.errors import ExitCode
from kdcli.core.unfinished import is_leftover

ENDS_WITHIN = ((signal.SIGPROF, signal.ITIMER_PROF, 60), (signal.SIGALRM, signal.ITIMER_REAL, 900))
"""Seconds of work, and of waiting, after which a case counts as one that never ends."""
_DOCUMENTED = {int(code) for code in ExitCode} - {int(ExitCode.DEFECT)}
_RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no terminal may get from a file's or a class's name."""


class NeverEnds(BaseException):
    """No Exception: nothing on the way may take it for a failure of its own."""


def holds(*arguments: str | Path, folder: Path, only_reads: bool = False) -> Answer:
    """`kd` with these arguments, which ends in a documented way: its code, its words, at most one
    JSON document, nothing half-written; `folder` is all that it may write to.

    `only_reads`: and leaves nothing new there at all, as a command that was refused does.
    """
    before = _names(folder)
    answer = _in_time(arguments)
    new = _names(folder) - before
    told = f"{answer.err[-2000:]}\n{answer.out[-1000:]}"
    assert answer.code in _DOCUMENTED, told
    assert "Traceback (most recent call" not in answer.out + answer.err, told
    assert not (raw := _RAW.search(answer.out + answer.err)), f"{raw}: {told!r}"
    if "--json" in arguments:
        assert ("error" in answer.document) == (answer.code != 0), told
    else:
        assert answer.code == 0 or answer.err.strip(), "it failed without a word"
    left = [name for name in new if is_leftover(Path(name).name)]
    assert not left, f"half-written: {left}"
    if only_reads or answer.code in (ExitCode.USAGE, ExitCode.IN_USE):
        assert not new, f"{answer.code}: {sorted(new)}"
    return answer


def _in_time(arguments: tuple[str | Path, ...]) -> Answer:
    def end(number: int, frame: FrameType | None) -> None:
        raise NeverEnds(signal.Signals(number).name)

    before = [signal.signal(number, end) for number, _, _ in ENDS_WITHIN]
    for _, clock, seconds in ENDS_WITHIN:
        signal.setitimer(clock, seconds, 1)  # again: a garbage collector swallows what is raised
    try:
        return kd(*arguments)
    finally:
        for (number, clock, _), handler in zip(ENDS_WITHIN, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


def _names(folder: Path) -> set[str]:
    return {f"{at}/{name}" for at, inner, files in os.walk(folder) for name in (*inner, *files)}


class Scratch:
    """A folder that is made anew for each case: the working directory, the home, the place of
    scratch files and of runs."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch, furnish: Callable[[Path], object]):
        self.path, self._furnish = path, furnish
        patch.setenv("HOME", str(path.parent))  # libraries keep what they like there
        patch.setenv("KD_RUNS", str(path / "runs"))
        patch.setattr(tempfile, "tempdir", str(path / "tmp"))
        self.anew()
        patch.chdir(path)

    def anew(self) -> Path:
        """As it was."""
        home = self.path.parent
        if self.path.exists():
            os.chdir(home)
            shutil.rmtree(self.path)
        (self.path / "tmp").mkdir(parents=True)
        self._furnish(self.path)
        os.chdir(self.path)
        return self.path


def cases(few: int, many: int) -> pytest.MarkDecorator:
    """How many `tried` are drawn: `few` in `make test`, always the same; `many` in an attack."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.attack)])


def tried(
    count: int, drawn: SearchStrategy[Any], known: Iterable[Any], check: Callable[[Any], object]
) -> None:
    """Check so many cases; first those that are `known` to have failed once."""
    is_attack = count > 100

    def of(case: Any) -> None:
        check(case)

    test = settings(
        max_examples=count,
        deadline=None,
        derandomize=not is_attack,
        database=None,
        print_blob=is_attack,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, *[Phase.shrink] * is_attack],
    )(given(drawn)(of))
    for case in known:
        test = example(case)(test)
    test()
