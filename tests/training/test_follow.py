"""`kd distill` with teachers that are followed while they learn."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from house import (
    STUDENT,
    TEACHER,
    House,
    asked,
    kd,
    kd_ok,
    same_weights,
    save_untrained,
    weights_of,
)

from kdcli.commands.distill import distill_job
from kdcli.core.errors import KdError
from kdcli.core.progress import Silent
from kdcli.models.checkpoint import load_model, read_weights
from kdcli.plan.ask import Ask
from kdcli.runs.baseline import baseline_of
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.training.ensure import ensure

EPOCHS = ("--set", "train.epochs=3", "--set", "train.batch_size=32", "--set", "train.patience=null")


@pytest.fixture(scope="module")
def teacher_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As long as the student's training."""
    path = tmp_path_factory.mktemp("recipe") / "three.yaml"
    path.write_text(
        "# Three epochs.\n#\nscheme: alone\ntask: {weight: 1.0}\n"
        "train: {epochs: 3, batch_size: 32, patience: null}\n"
    )
    return path


def command(recipe: str, pictures: Path, teacher: Path, *more: str) -> tuple[str, ...]:
    who = ("distill", "--teacher", TEACHER, "--student", STUDENT, "--data", str(pictures))
    return (*who, "--recipe", recipe, "--set", f"teacher.recipe={teacher}", *EPOCHS, *more)


def spec_of(pictures: Path, recipe: str, *settings: str, **more: Any) -> Spec:
    return distill_job(asked(recipe, pictures, *settings, **more), Silent()).spec


def numbers(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "waited")} for line in lines]


# What is trained ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_together_is_a_trajectory_with_a_checkpoint_at_every_step(
    pictures: Path, teacher_recipe: Path, empty_house: House
) -> None:
    every = ("--set", "teacher.checkpoints.count=1000000")
    end = " ".join(kd_ok(*command("together", pictures, teacher_recipe)).out.split())
    assert f"│ teacher │ {TEACHER} │" in end
    assert "training time is that of teacher and student together" in end
    said = kd_ok(*command("trajectory", pictures, teacher_recipe, *every)).err
    assert "no trajectory of teacher test_resnet" in said
    assert "checkpoints of" in said.partition("plan:")[2]
    beside, behind = (empty_house.run(name) for name in ("together-", "trajectory-"))
    teacher = Run(empty_house.teacher)
    assert teacher.steps() == tuple(range(1, 7))
    assert not (beside / "needs.json").exists()
    one, other = weights_of(beside / "model.pt"), weights_of(behind / "model.pt")
    assert one.keys() == other.keys()
    assert all(torch.allclose(one[k].double(), other[k].double(), atol=1e-6) for k in one)
    losses = [[line["loss"] for line in numbers(run)[:-1]] for run in (beside, behind)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert len(set(losses[0])) == 3
    assert all(0 <= line["teacher_val_accuracy"]["teacher"] <= 1 for line in numbers(beside)[:-1])
    learnt = weights_of(beside / "model.teacher.pt")
    best = json.loads((beside / "metrics.jsonl").read_text().splitlines()[-1])["best_epoch"]
    there = read_weights(teacher.step(2 * best))
    assert all(torch.allclose(learnt[k].double(), there[k].double(), atol=1e-6) for k in learnt)

    made = load_model(beside / "model.teacher.pt")
    own = Run(teacher.path).spec
    assert made.recipe["methods"] == {}
    assert made.provenance["role"] == "teacher"
    assert made.provenance["teachers"] == []
    assert made.provenance["val_accuracy"] is None, "nobody measured it"
    assert made.provenance["seed"] == own.seed
    with_it = Run(beside).spec.alongside["teacher"].spec
    assert made.provenance["digest"] == (with_it and with_it.digest)
    said = " ".join(kd_ok("inspect", beside / "model.teacher.pt").out.split())
    for words in ("role │ teacher", "validation accuracy │ unknown", "learnt with │ model.pt"):
        assert words in said
    assert f"as it was after {best} " in said
    assert "scheme alone; task 1" in said
    assert f"--teacher {beside / 'model.teacher.pt'} --student" in said

    kd_ok("evaluate", beside)
    report = json.loads((beside / "report.json").read_text())
    assert report["models"]["teacher"]["name"] == TEACHER
    assert len(empty_house.runs("teacher-")) == 1, "no other teacher was trained for it"

    (teacher.step(3)).unlink()
    shutil.rmtree(behind)
    answer = kd(*command("trajectory", pictures, teacher_recipe, *every))
    assert answer.code == 7
    assert "checkpoints of its trajectory are gone" in answer.err


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["together", "trajectory"])
def test_a_student_that_follows_goes_on_where_it_was_interrupted(
    recipe: str,
    pictures: Path,
    teacher_recipe: Path,
    empty_house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kd_ok(*command(recipe, pictures, teacher_recipe))
    run = empty_house.run(f"{recipe}-")
    whole = shutil.move(run, tmp_path / "whole")
    with monkeypatch.context() as patch:
        _interrupt_after(3, patch)
        assert kd(*command(recipe, pictures, teacher_recipe)).code == 130
    assert (run / "state.pt").is_file()
    assert not list(run.glob("model*.pt"))
    answer = kd_ok(*command(recipe, pictures, teacher_recipe))
    assert "going on after epoch 1 of 3" in answer.err
    assert numbers(run) == numbers(whole)
    for model in whole.glob("model*.pt"):
        assert same_weights(run / model.name, model)


def test_a_trajectory_that_was_interrupted_is_continued(
    pictures: Path, empty_house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("teacher.checkpoints.count=1000", f"teacher.recipe={_two_epochs(tmp_path)}")
    job = distill_job(
        Ask(
            "trajectory",
            teachers=(TEACHER,),
            student=STUDENT,
            settings=settings,
            data=str(pictures),
        ),
        Silent(),
    )
    (spec,) = job.spec.before
    whole = ensure(spec, job.site(Silent())).run
    there = {step: whole.step(step).read_bytes() for step in whole.steps()}
    assert sorted(there) == [1, 2, 3, 4]
    shutil.rmtree(whole.path)
    with monkeypatch.context() as patch:
        _interrupt_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            ensure(spec, job.site(Silent()))
    run = Run(whole.path)
    assert run.steps() == (1, 2, 3)
    ensure(spec, job.site(Silent()))
    assert {step: run.step(step).read_bytes() for step in run.steps()} == there
    ensure(spec, job.site(Silent()), again=True)
    assert run.steps() == (1, 2, 3, 4)


def _two_epochs(folder: Path) -> Path:
    path = folder / "two.yaml"
    path.write_text(
        "# Two.\n#\nscheme: alone\ntask: {weight: 1.0}\ntrain: {epochs: 2, batch_size: 32}\n"
    )
    return path


def _interrupt_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Of the loop: a rehearsal does not count."""
    from kdcli.training import loop

    add, taken = loop.Meter.add, iter(range(10**6))

    def once(self: Any, *arguments: Any) -> None:
        add(self, *arguments)
        if next(taken) + 1 > steps:
            raise KeyboardInterrupt

    patch.setattr(loop.Meter, "add", once)


@pytest.mark.slow
def test_each_teacher_that_learnt_along_is_measured_once(
    pictures: Path, teacher_recipe: Path, empty_house: House
) -> None:
    several = ("--set", "teacher.seeds=2", "--set", "scheme=average", "--set", "train.epochs=1")
    kd_ok(*command("together", pictures, teacher_recipe, *several))
    report = kd_ok("evaluate", "--json").document
    assert report["models"].keys() == {"ensemble", "teacher", "student", "baseline"}
    assert [one["seed"] for one in report["teachers"]] == [0, 1]


@pytest.mark.slow
def test_each_student_has_the_teacher_that_learnt_with_it(
    pictures: Path, teacher_recipe: Path, empty_house: House
) -> None:
    kd_ok(*command("together", pictures, teacher_recipe, "--set", "train.epochs=1"))
    models = kd_ok("evaluate", "--seeds", "2", "--json").document["models"]
    files = [Run(path).other("teacher") for path in empty_house.runs("together-")]
    assert not same_weights(*files)
    with np.load(next(iter(empty_house.path.glob("*/predictions.npz")))) as kept:
        assert kept["teacher"].shape[0] == 2
    assert len(models["teacher"]["seeds"]) == 2


# Who is who --------------------------------------------------------------------------------------


def test_following_is_part_of_what_was_made(pictures: Path) -> None:
    alike = ("task.weight=0.0", "methods={kd: {weight: 1.0, temperature: 4.0}}")
    plain = spec_of(pictures, "kd", *alike)
    specs = [
        plain,
        spec_of(pictures, "together"),
        spec_of(pictures, "trajectory"),
        spec_of(pictures, "trajectory", "teacher.checkpoints.count=7"),
        spec_of(pictures, "trajectory", "teacher.checkpoints.clock=steps"),
    ]
    assert len({spec.digest for spec in specs}) == 5
    teachers = [spec.teachers[0].identity for spec in specs]
    assert teachers[0] == teachers[1], "a plain teacher, whatever becomes of it"
    assert teachers[2] == teachers[4], "the clock is the student's"
    assert len(set(teachers)) == 3
    unused = spec_of(pictures, "kd", *alike, "teacher.checkpoints.count=7")
    assert unused.digest == plain.digest
    assert len({baseline_of(spec).digest for spec in specs}) == 1


def test_nobody_has_to_be_finished_before_one_that_learns_together(pictures: Path) -> None:
    assert spec_of(pictures, "together").before == ()
    assert len(spec_of(pictures, "trajectory").before) == 1
    several = spec_of(pictures, "together", "teacher.seeds=2", "scheme=average")
    assert list(several.alongside) == ["teacher.0", "teacher.1"]


# What makes no sense -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("train.accumulate=2",), "cannot come in parts"),
        (("teacher.tune=head",), "cannot learn together"),
        (("scheme=compress",), "asks its teachers once"),
        (("scheme=mutual",), "has no such teacher"),
        (("teacher.subset=0.5",), "learns from the student's batches"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    settings: tuple[str, ...], words: str, pictures: Path
) -> None:
    with pytest.raises(KdError, match=words):
        spec_of(pictures, "together", *settings)


@pytest.mark.parametrize("recipe", ["together", "trajectory"])
def test_a_finished_teacher_cannot_be_followed(recipe: str, pictures: Path, tmp_path: Path) -> None:
    model = save_untrained(tmp_path / "model.pt", ("one", "two", "zero"))
    with pytest.raises(KdError, match="follows one while it learns"):
        spec_of(pictures, recipe, teachers=str(model))


def test_an_assistant_cannot_learn_and_teach_at_once(pictures: Path) -> None:
    with pytest.raises(KdError, match="an assistant is trained before its student"):
        spec_of(pictures, "together", assistants=["test_vit"])
