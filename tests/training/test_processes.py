"""Several processes train what one would have trained; whatever happens to one ends all."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import psutil
import pytest
import torch
from house import weights_of
from safetensors.torch import load_file

from kdcli.core.world import World
from kdcli.models.loading import load
from kdcli.training.answers.ask_once import own_shards

TEACHER, STUDENT = "test_vit", "test_vit"
"""Without batch norm."""
EXACT = (
    *("--set", "train.epochs=2", "--set", "train.epoch_images=128", "--set", "train.batch_size=32"),
    *("--set", "student.precision=fp32", "--set", "train.lr=0.01"),
    *("--set", "teacher.allow_weak=true"),
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished one, which all runs of this module have in common."""
    runs = tmp_path_factory.mktemp("teacher")
    settings = ("--set", "train.epochs=1", "--set", "train.epoch_images=320")
    ended(started(runs, "train", TEACHER, *settings))
    return next(runs.glob("teacher-*"))


def started(runs: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """`kd` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "kdcli", *arguments],
        env=os.environ | {"KD_RUNS": str(runs), "KD_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: "subprocess.Popen[str]", code: int = 0) -> str:
    """What it has said; it must have ended so."""
    said, _ = process.communicate(timeout=240)
    assert process.returncode == code, said
    return said


def distilled(runs: Path, teacher: Path, processes: int, *more: str) -> Path:
    """The student's run."""
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT)
    ended(started(runs, *who, "--processes", str(processes), *EXACT, *more))
    return next(runs.glob("*/model.pt")).parent


def furthest(one: Path, other: Path) -> float:
    """The largest difference of any weight."""
    mine, theirs = weights_of(one / "model.pt"), weights_of(other / "model.pt")
    return max(float((mine[key] - theirs[key]).abs().max()) for key in mine)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["kd", "rkd", "crd"])
def test_two_processes_train_what_one_does(teacher: Path, tmp_path: Path, recipe: str) -> None:
    how = ("--recipe", recipe, "--set", "train.optimizer=sgd")
    one, two = (distilled(tmp_path / str(n), teacher, n, *how) for n in (1, 2))
    assert one.name == two.name
    assert furthest(one, two) < 1e-5
    lines = [json.loads((run / "metrics.jsonl").read_text().splitlines()[0]) for run in (one, two)]
    assert lines[0]["loss"] == pytest.approx(lines[1]["loss"], rel=1e-5)
    for key in ("step", "train_accuracy", "val_accuracy"):
        assert lines[0][key] == lines[1][key]
    assert lines[0]["share_of_gradient"] == pytest.approx(lines[1]["share_of_gradient"], abs=1e-3)


@pytest.mark.slow
def test_the_labels_of_some_and_parts_of_a_batch(teacher: Path, tmp_path: Path) -> None:
    """Averages are taken over all images with labels, wherever they are."""
    how = (
        "--recipe",
        "few_labels",
        "--set",
        "data.hidden={keep: 20}",
        "--set",
        "train.accumulate=2",
    )
    one, two = (distilled(tmp_path / str(n), teacher, n, *how) for n in (1, 2))
    assert furthest(one, two) < 1e-3  # AdamW divides by what may be next to nothing


@pytest.mark.slow
def test_a_store_is_filled_by_all(teacher: Path, tmp_path: Path) -> None:
    how = ("--set", "teacher.answers=stored", "--set", "teacher.views=2")
    one, two = (distilled(tmp_path / str(n), teacher, n, *how) for n in (1, 2))
    assert furthest(one, two) < 1e-3
    shards = [sorted((run.parent / "answers").glob("*/*.safetensors")) for run in (one, two)]
    assert [shard.name for shard in shards[0]] == [shard.name for shard in shards[1]]
    for mine, theirs in zip(*shards, strict=True):
        first, second = load_file(mine), load_file(theirs)
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_each_shard_is_filled_by_one(size: int) -> None:
    owned = [[*own_shards(5, World(rank, size))] for rank in range(size)]
    assert [*chain.from_iterable(owned)] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_torchrun_starts_them_as_well(teacher: Path, tmp_path: Path) -> None:
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT)
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    distilled(tmp_path / "one", teacher, 1)
    subprocess.run(
        [*torchrun, "-m", "kdcli", *who, *EXACT],
        env=os.environ | {"KD_RUNS": str(tmp_path / "two"), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=240,
        capture_output=True,
    )
    models = [load(file).module.eval() for file in sorted(tmp_path.glob("*/*/model.pt"))]
    assert len(models) == 2
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = (model(images) for model in models)
    assert float((first - second).abs().max()) < 1e-3  # with AdamW


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2), (2, 2)])
def test_another_number_of_processes_goes_on(
    teacher: Path, tmp_path: Path, first: int, then: int
) -> None:
    """From the step after which it was stopped."""
    how = (
        "--set",
        "train.epochs=6",
        "--set",
        "train.epoch_images=600",
        "--set",
        "train.optimizer=sgd",
    )
    straight = distilled(tmp_path / "straight", teacher, then, *how)
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT, *EXACT, *how)
    process = begun(tmp_path / "broken", who, first)
    os.kill(process.pid, signal.SIGTERM)
    ended(process, 143)
    said = ended(started(tmp_path / "broken", *who, "--processes", str(then)))
    assert "going on after" in said
    limit = 1e-6 if first == then else 1e-5
    assert furthest(straight, tmp_path / "broken" / straight.name) < limit


@pytest.mark.slow
def test_one_that_fails_says_why_for_all(teacher: Path, tmp_path: Path) -> None:
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT, *EXACT)
    said = ended(started(tmp_path, *who, "--processes", "2", "--set", "train.lr=1e30"), 4)
    assert "not finite" in said


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused(teacher: Path, tmp_path: Path) -> None:
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT, *EXACT)
    odd = ("--set", "train.batch_size=33", "--processes", "2")
    said = ended(started(tmp_path, *who, *odd), 2)
    assert "a batch of 33 images cannot be shared evenly by 2 processes" in said
    assert "train.batch_size=32" in said
    assert not [*tmp_path.glob("*/model.pt")]


LONG = ("--set", "train.epochs=200", "--set", "train.epoch_images=1000")


def begun(runs: Path, who: tuple[str, ...], processes: int = 2) -> "subprocess.Popen[str]":
    """A training behind its first epoch."""
    process = started(runs, *who, "--processes", str(processes))
    until = time.monotonic() + 120
    while not any(file.stat().st_size for file in runs.glob("*/metrics.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    return process


def second_of(process: "subprocess.Popen[str]") -> psutil.Process:
    """The process that follows."""
    children = psutil.Process(process.pid).children()
    return next(child for child in children if child.environ()["RANK"] == "1")


@pytest.mark.slow
@pytest.mark.parametrize("to", ["the launcher", "the second"])
def test_a_signal_stops_all_after_the_same_step(teacher: Path, tmp_path: Path, to: str) -> None:
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT, *EXACT, *LONG)
    process = begun(tmp_path, who)
    asked = process.pid if to == "the launcher" else second_of(process).pid
    os.kill(asked, signal.SIGTERM)
    said = ended(process, 143)
    assert "the same command goes on from there" in said
    (state,) = tmp_path.glob("*/state.pt")
    assert torch.load(state, weights_only=True)["within"]["steps"] >= 0


@pytest.mark.slow
def test_who_is_killed_ends_the_others(teacher: Path, tmp_path: Path) -> None:
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT, *EXACT, *LONG)
    process = begun(tmp_path, who)
    second_of(process).kill()
    start = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 5
    assert "another process has ended without a word" in said
    assert "process 2 of 2 was killed" in said
    assert time.monotonic() - start < 60
