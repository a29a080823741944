"""`kd train`: a run folder, reuse, --again, --out, seeds, and resuming."""

import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from house import (
    QUICK_TEACHER,
    SMALL_TEACHER,
    STUDENT,
    TEACHER,
    House,
    kd,
    kd_ok,
    on_pictures,
    same_weights,
    weights_of,
)

from kdcli.commands import train as carrying_out
from kdcli.commands.distill import distill_job
from kdcli.commands.train import carry_out, train_job
from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.plan.ask import Ask
from kdcli.plan.foreseen import Forecast
from kdcli.runs.find import find
from kdcli.runs.run import Run
from kdcli.training.ensure import Trained


def _line(pictures: Path, *more: str | Path) -> tuple[str | Path, ...]:
    return ("train", STUDENT, "--data", pictures, "--set", "train.epochs=2", *more)


def test_it_says_what_it_made_and_what_to_type_next(empty_house: House, pictures: Path) -> None:
    answer = kd_ok(*_line(pictures))
    run = empty_house.run(f"teacher-{STUDENT}-pictures-s0-")
    assert f"run: {run}" in answer.out
    asked = f"next: kd distill --teacher {run} --student mobilenetv3 --data {pictures}"
    assert asked in answer.out.splitlines()
    assert "epoch 2/2" in answer.err
    assert "no --data" not in answer.err + answer.out
    assert "\r" not in answer.err, "nothing is animated when not on a terminal"


def test_with_json_it_is_one_document(empty_house: House, pictures: Path) -> None:
    document = kd_ok(*_line(pictures, "--json")).document
    run = empty_house.run("teacher-")
    training = document.pop("training")
    assert document == {
        "schema": 1,
        "run": str(run),
        "model": str(run / "model.pt"),
        "reused": False,
        "name": STUDENT,
        "others": {},
        "data": {"name": "pictures", "is_default": 0},
    }
    assert training["ended"] == "epochs"
    assert training["epochs"] == 2
    assert training == Run(run).outcome()


def test_without_data_it_says_so_first_and_last(distilled: House) -> None:
    line = ("train", TEACHER, "--recipe", QUICK_TEACHER)
    answer = kd_ok(*line)
    said = "no --data: built-in digits (1,797 images); give --data DIR for yours"
    assert answer.err.splitlines()[0] == said
    assert said in answer.out
    document = kd_ok(*line, "--json").document
    assert document["data"]["is_default"] == 1
    assert document["reused"] is True, "the teacher that distilling trained"


def test_what_was_a_prerequisite_is_now_asked_for(small: House, pictures: Path) -> None:
    run = Run(small.teacher)
    assert not run.file().asked
    answer = kd_ok("train", TEACHER, "--recipe", SMALL_TEACHER, "--data", pictures)
    assert f"{small.teacher}: finished earlier, nothing to train" in answer.err
    assert run.file().asked


def test_from_python_it_returns_a_frozen_result(small: House, pictures: Path) -> None:
    job = train_job(Ask(str(SMALL_TEACHER), model=TEACHER, data=str(pictures)), Silent())
    (result,) = carry_out(job, Silent()).trained
    assert isinstance(result, Trained)
    assert result.reused
    assert result.run.path == small.teacher


def test_the_seed_decides_the_weights(empty_house: House, pictures: Path, tmp_path: Path) -> None:
    kd_ok(*_line(pictures))
    kd_ok(*_line(pictures, "--seed", "1"))
    kd_ok(*_line(pictures, "--out", tmp_path / "twin"))
    first, second = empty_house.run("teacher-test_efficientnet-pictures-s0"), empty_house.runs()[-1]
    assert "-s1-" in second.name
    assert not same_weights(first / "model.pt", second / "model.pt")
    assert same_weights(first / "model.pt", tmp_path / "twin" / "model.pt")


def test_again_starts_afresh_and_comes_to_the_same(small: House, pictures: Path) -> None:
    before = weights_of(small.teacher / "model.pt")
    (small.teacher / "my notes.txt").touch()
    (small.teacher / "report.md").touch()
    answer = kd_ok(
        *("train", TEACHER, "--recipe", SMALL_TEACHER, "--data", pictures, "--again", "--json")
    )
    assert answer.document["reused"] is False
    assert (small.teacher / "my notes.txt").exists()
    assert not (small.teacher / "report.md").exists()
    assert weights_of(small.teacher / "model.pt").keys() == before.keys()
    assert all((before[k] == v).all() for k, v in weights_of(small.teacher / "model.pt").items())


def test_out_makes_a_folder_of_that_name(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "made" / "here"
    first = kd_ok(*_line(pictures, "--out", out, "--json")).document
    assert first["run"] == str(out)
    assert not empty_house.path.exists()
    again = kd_ok(*_line(pictures, "--out", out, "--json")).document
    assert again["reused"] is True


def test_out_leaves_a_foreign_folder_alone(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("everything")
    for flags in ((), ("--again",)):
        answer = kd(*_line(pictures, "--out", tmp_path / "thesis", *flags))
        assert answer.code == 2
        assert "is no run folder" in answer.err
    assert [f.name for f in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def test_out_leaves_another_run_alone(small: House, pictures: Path) -> None:
    before = sha256(small.student / "model.pt")
    for flags in ((), ("--again",)):
        answer = kd(*_line(pictures, "--out", small.student, *flags))
        assert answer.code == 2
        assert f"holds another run ({small.student.name})" in answer.err
        assert "role" in answer.err
    assert sha256(small.student / "model.pt") == before


# Several seeds -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_members_are_trained_ahead_and_found_again(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    line = ("train", TEACHER, "--data", pictures, "--recipe", _one_epoch(tmp_path))
    line = (*line, "--set", "data.subset=[0.6, 1.0]", "--seed", "1", "--seeds")
    first = kd_ok(*line, "2")
    assert "plan: 2 x teacher test_resnet 1 epoch ~" in first.err
    assert re.findall(r"seed \d", first.out) == ["seed 1", "seed 2"]
    document = kd_ok(*line, "3", "--json").document
    assert [run["reused"] for run in document["runs"]] == [True, True, False]
    members = empty_house.runs("teacher-")
    assert all(Run(member).file().asked for member in members)
    (ref,) = distill_job(
        Ask(
            "kd",
            teachers=(TEACHER,),
            student=STUDENT,
            settings=(
                f"teacher.recipe={_one_epoch(tmp_path)}",
                "teacher.subset=[0.6, 1.0]",
                *("teacher.seeds=3", "teacher.seed=1"),
            ),
            data=str(pictures),
        ),
        Silent(),
    ).spec.teachers
    found = [find(member.spec) for member in ref.members if member.spec]
    assert [run and run.path for run in found] == members
    several = kd_ok(*line, "5").out
    assert f"runs: {members[0]}, {members[1]}, {members[2]} and 2 more" in several
    # what trained them is a recipe of somebody's own, so they are named by their folders
    named = " ".join(f"--teacher {member}" for member in empty_house.runs("teacher-"))
    assert f"next: kd distill {named} --student mobilenetv3 --data {pictures}" in several


def _one_epoch(folder: Path) -> Path:
    recipe = folder / "one_epoch.yaml"
    recipe.write_text("scheme: alone\ntrain: {epochs: 1}\n", "utf-8")
    return recipe


def test_several_runs_have_no_single_place(empty_house: House, pictures: Path) -> None:
    for dry in ((), ("--dry-run",)):
        answer = kd(*_line(pictures, "--seeds", "2", "--out", "here", *dry))
        assert answer.code == 2
        assert "--out here is the folder of one run, --seeds 2 makes 2" in answer.err


# Interrupted -------------------------------------------------------------------------------------


def _interrupt_after(calls: int, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the method's loss work so often, then be interrupted."""
    from kdcli.methods import kd as method

    loss, done = method.kd_loss, []

    def interrupted(*tensors: Any) -> Any:
        done.append(1)
        if len(done) > calls:
            how()
        return loss(*tensors)

    monkeypatch.setattr(method, "kd_loss", interrupted)
    nothing = Forecast(now=(), later=(), free_bytes=0)
    monkeypatch.setattr(carrying_out, "foresee", lambda *job, **options: nothing)


def _control_c() -> None:
    raise KeyboardInterrupt


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("how", "code"), [(_control_c, 130), (_terminate, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_the_same_command_goes_on_where_it_was_interrupted(
    how: Any, code: int, small: House, pictures: Path, tmp_path: Path
) -> None:
    """Two steps an epoch: the fourth is in the middle of epoch 2 of 3."""
    uninterrupted = shutil.copytree(small.student, tmp_path / "uninterrupted")
    shutil.rmtree(small.student)
    with pytest.MonkeyPatch.context() as patch:
        _interrupt_after(3, how, patch)
        answer = kd(*on_pictures(pictures))
    assert answer.code == code
    assert (small.student / "state.pt").is_file()
    assert not (small.student / "model.pt").exists()
    assert [line["epoch"] for line in Run(small.student).lines()] == [1]

    answer = kd_ok(*on_pictures(pictures))
    assert "epoch 1/3" not in answer.err.partition("student")[2]
    assert "epoch 2/3" in answer.err
    assert same_weights(small.student / "model.pt", uninterrupted / "model.pt")
    assert not (small.student / "state.pt").exists()
    assert _numbers(small.student) == _numbers(uninterrupted)


def _numbers(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the time that it took."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "waited")} for line in lines]


def test_interrupted_between_model_and_tidying(small: House, pictures: Path) -> None:
    """model.pt is what says finished; a state.pt beside it is swept up."""
    (small.student / "state.pt").write_bytes(b"whatever")
    assert kd_ok(*on_pictures(pictures), "--json").document["reused"] is True
    assert not (small.student / "state.pt").exists()


def test_a_damaged_state_says_so(small: House, pictures: Path) -> None:
    (small.student / "model.pt").unlink()
    (small.student / "state.pt").write_bytes(b"PK\x03\x04 not whole")
    answer = kd(*on_pictures(pictures))
    assert answer.code == 7
    assert str(small.student / "state.pt") in answer.err
    assert "delete that file and repeat the command" in answer.err
    (small.student / "state.pt").unlink()
    assert kd_ok(*on_pictures(pictures), "--json").document["reused"] is False


def test_an_empty_model_is_none(small: House, pictures: Path) -> None:
    whole = (small.student / "model.pt").read_bytes()
    (small.student / "model.pt").write_bytes(b"")
    assert kd_ok(*on_pictures(pictures), "--json").document["reused"] is False
    assert (small.student / "model.pt").read_bytes() == whole


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_model_is_not_called_finished(small: House, pictures: Path, how: str) -> None:
    model = small.student / "model.pt"
    whole = model.read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 4]) + whole[half + 1 :]
    model.write_bytes(whole[:-100] if how == "cut" else flipped)
    answer = kd(*on_pictures(pictures))
    assert answer.code == 7
    assert f"{model}: truncated or not a PyTorch file" in answer.err
    kd_ok(*on_pictures(pictures), "--again")
    assert model.read_bytes() == whole


def test_who_looked_before_another_kd_was_done_trains_nothing(
    small: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again with the lock held."""
    model, metrics = small.student / "model.pt", small.student / "metrics.jsonl"
    done, lines = model.read_bytes(), metrics.read_text()
    model.unlink()

    def meanwhile(*_: Any) -> None:  # behind the first look, in front of the lock
        model.write_bytes(done)

    monkeypatch.setattr("kdcli.training.ensure.reach_weights", meanwhile)
    assert kd_ok(*on_pictures(pictures), "--json").document["reused"] is True
    assert metrics.read_text() == lines


def test_again_is_the_way_out_of_a_damaged_run(small: House, pictures: Path) -> None:
    """The error says so; it must be true."""
    (small.student / "run.yaml").write_text("asked: [")
    answer = kd(*on_pictures(pictures))
    assert answer.code == 7
    assert "--again" in answer.err
    kd_ok(*on_pictures(pictures), "--again")


def test_a_loss_that_is_not_finite_stops_before_the_step(
    small: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(small.student)
    monkeypatch.setattr("kdcli.methods.kd.kd_loss", lambda s, *others: s.sum() * float("nan"))
    answer = kd(*on_pictures(pictures))
    assert answer.code == 4
    assert "kd = nan" in answer.err
    assert "before the step" in answer.err
    assert not (small.student / "model.pt").exists()


@pytest.mark.parametrize("setting", ["train.lr=1e9", "train.lr=1e9 --set train.clip=null"])
def test_a_wild_rate_ends_in_words(setting: str, empty_house: House, pictures: Path) -> None:
    answer = kd(*_line(pictures, "--set", *setting.split()))
    assert answer.code == 4
    assert "not finite" in answer.err
    assert "train.lr" in answer.err


def test_until_ends_early(empty_house: House, pictures: Path) -> None:
    line = ("train", STUDENT, "--data", pictures, "--set", "train.until={accuracy: 0.01}")
    training = kd_ok(*line, "--json").document["training"]
    assert training["ended"] == "satisfactory"
    assert training["epochs"] == 1


def test_patience_ends_early(empty_house: House, pictures: Path) -> None:
    line = ("train", STUDENT, "--data", pictures, "--set", "train.patience=1")
    training = kd_ok(*line, "--set", "train.lr=1e-9", "--json").document["training"]
    assert training["ended"] == "converged"
    assert training["epochs"] == training["best_epoch"] + 1


def test_who_in_a_recipe_counts_for_train_too(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        f"scheme: alone\nwho: {{data: {pictures}, seed: 7}}\ntrain: {{epochs: 1}}\n", "utf-8"
    )
    kd_ok("train", TEACHER, "--recipe", recipe)
    (run,) = empty_house.runs()
    assert run.name.startswith(f"teacher-{TEACHER}-pictures-s7-")


def test_a_batch_of_one_is_refused(empty_house: House) -> None:
    answer = kd("train", TEACHER, "--set", "train.batch_size=1")
    assert answer.code == 2
    assert "at least 2" in answer.err


def test_who_resumes_it_has_asked_for_it(small: House, pictures: Path) -> None:
    """A teacher that was interrupted within a distillation, then trained by name."""
    teacher = Run(small.teacher)
    teacher.model.unlink()
    assert not teacher.file().asked
    kd_ok("train", TEACHER, "--recipe", SMALL_TEACHER, "--data", pictures)
    assert teacher.finished
    assert teacher.file().asked


def test_refused_again_loses_nothing(small: House, pictures: Path) -> None:
    before = (small.student / "model.pt").read_bytes()
    (small.teacher / "model.pt").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kdcli.training.teachers.standing", lambda *answers: 1 / 0)
        assert kd(*on_pictures(pictures), "--again").code == 1
    assert (small.student / "model.pt").read_bytes() == before


# Settings of a teacher, where the model itself is one ---------------------------------------------


def _job_of(pictures: Path, *settings: str) -> Any:
    return train_job(
        Ask("supervised", model=TEACHER, data=str(pictures), settings=settings), Silent()
    )


@pytest.mark.parametrize(
    ("of_teacher", "own"),
    [
        ("teacher.stem_stride=1", "student.stem_stride=1"),
        ("teacher.pretrained=false", "student.pretrained=false"),
        ("teacher.subset=0.5", "data.subset=0.5"),
    ],
)
def test_what_a_teacher_is_told_holds_for_one_trained_alone(
    of_teacher: str, own: str, empty_house: House, pictures: Path
) -> None:
    assert _job_of(pictures, of_teacher).spec.digest == _job_of(pictures, own).spec.digest


def test_random_weights_are_asked_for_of_the_role_that_is_trained(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--set teacher.pretrained=false` was answered with the advice to set just that."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    line = ("train", "resnet18.a1_in1k", "--data", pictures, "--dry-run")
    refused = kd(*line)
    assert refused.code == 3
    (advice,) = re.findall(r"--set teacher.pretrained=false", refused.err)
    kd_ok(*line, *shlex.split(advice))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("teacher.tune=head", "train.tune=all"), "in kd train they are one"),
        (("teacher.seed=3",), "--seed says it here"),
        (("teacher.seeds=3",), "--seeds says it here"),
        (("teacher.recipe=kd",), "--recipe says it here"),
    ],
)
def test_a_setting_of_a_teacher_that_there_is_not_is_refused(
    settings: tuple[str, ...], words: str, empty_house: House, pictures: Path
) -> None:
    line = [word for one in settings for word in ("--set", one)]
    answer = kd("train", TEACHER, "--data", pictures, *line)
    assert answer.code == 2
    assert words in answer.err
