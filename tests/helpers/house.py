"""`kd` in this process, and what lies in a KD_RUNS folder; fixtures are in conftest.py."""

import contextlib
import io
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TEACHER, STUDENT = "test_resnet", "test_efficientnet"
QUICK_TEACHER = Path(__file__).with_name("quick_teacher.yaml")
SMALL_TEACHER = Path(__file__).with_name("small_teacher.yaml")
WHO = ("distill", "--teacher", TEACHER, "--student", STUDENT)
DISTILL = (*WHO, "--set", f"teacher.recipe={SMALL_TEACHER}", "--set", "train.batch_size=32")
ON_DIGITS = (*WHO, "--set", f"teacher.recipe={QUICK_TEACHER}", "--set", "train.epochs=2")


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code, and both streams."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Stdout, which holds one JSON document and nothing else."""
        found: dict[str, Any] = json.loads(self.out, parse_constant=_no_constant)
        return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def kd(*arguments: str | Path) -> Answer:
    """Run `kd` in this process."""
    from kdcli.cli import main

    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
    finally:
        signal.signal(signal.SIGTERM, before)
    return Answer(code, out.getvalue(), err.getvalue())


def kd_ok(*arguments: str | Path) -> Answer:
    """Run `kd`, which must succeed."""
    answer = kd(*arguments)
    assert answer.code == 0, answer.err
    return answer


@dataclass(frozen=True)
class House:
    """A KD_RUNS folder."""

    path: Path

    def runs(self, start: str = "") -> list[Path]:
        """The run folders whose names start so, sorted."""
        return sorted(f.parent for f in self.path.glob(f"{start}*/run.yaml"))

    def run(self, start: str) -> Path:
        """The only run folder whose name starts so."""
        (found,) = self.runs(start)
        return found

    def copy(self, path: Path, patch: pytest.MonkeyPatch) -> "House":
        """A copy of all runs, which is KD_RUNS from now on."""
        shutil.copytree(self.path, path)
        patch.setenv("KD_RUNS", str(path))
        return House(path)

    @property
    def student(self) -> Path:
        return self.run("kd-")

    def student_of_seed(self, seed: int) -> Path:
        """The run folder of this seed's student."""
        (found,) = [run for run in self.runs("kd-") if f"-s{seed}-" in run.name]
        return found

    @property
    def teacher(self) -> Path:
        return self.run("teacher-")


@contextlib.contextmanager
def living_in(path: Path) -> Iterator[House]:
    """KD_RUNS is this folder."""
    path.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_RUNS", str(path))
        yield House(path)


def weights_of(model: Path) -> dict[str, Any]:
    """The tensors in a model.pt."""
    from kdcli.models.checkpoint import load_model

    return load_model(model).state_dict


def same_weights(one: Path, other: Path) -> bool:
    """Whether two model.pt hold the same weights, bit for bit."""
    import torch

    first, second = weights_of(one), weights_of(other)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def save_untrained(path: Path, classes: tuple[str, ...], size: int = 32) -> Path:
    """A model.pt of random weights."""
    from kdcli.models.build import build, plan, seeded
    from kdcli.models.checkpoint import ModelFile, save_model

    args = plan(TEACHER, len(classes), size, None)
    with seeded(0, "untrained"):
        module = build(args)
    save_model(ModelFile(args.as_dict(), module.state_dict(), classes, recipe={}), path)
    return path


def then_stop(keep: Callable[..., None]) -> Callable[..., None]:
    """Ctrl-C as soon as an epoch is kept."""

    def stop(*arguments: object) -> None:
        keep(*arguments)
        raise KeyboardInterrupt

    return stop


def on_pictures(pictures: Path) -> tuple[str, ...]:
    """The command line of `small`."""
    return (*DISTILL, "--data", str(pictures), "--set", "train.epochs=3")


def asked(recipe: str, pictures: Path, *settings: str, **changes: Any) -> Any:
    """The Ask of a `kd distill` on the pictures; teachers may be one, a list, or None."""
    from kdcli.plan.ask import Ask

    wanted = {"teachers": TEACHER, "student": STUDENT} | changes
    several = {"teachers", "assistants", "peers"} & set(wanted)
    wanted |= {key: _each(wanted[key]) for key in several}
    return Ask(recipe, settings=settings, data=str(pictures), **wanted)


def _each(named: Any) -> tuple[str, ...]:
    return (named,) if isinstance(named, str) else tuple(named or ())
