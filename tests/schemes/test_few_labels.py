"""Few labels, many images: who learns from what, and what is refused."""

import shutil
from pathlib import Path

import pytest
from house import SMALL_TEACHER, STUDENT, TEACHER, House, kd, kd_ok

from kdcli.core.errors import UsageError
from kdcli.core.progress import Silent
from kdcli.data.reopen import reopen_data
from kdcli.data.source import Source, Split
from kdcli.data.subset import labelled_split
from kdcli.evaluation.labels_seen import notes_on_labels
from kdcli.plan.data import open_data
from kdcli.recipe.conflicts import refuse_in_recipe
from kdcli.recipe.load import load_recipe
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec

TEN = "data.hidden={keep: 10}"


def line(pictures: Path, *settings: str) -> tuple[str, ...]:
    always: tuple[str, ...] = (
        f"teacher.recipe={SMALL_TEACHER}",
        "train.epochs=2",
        "train.batch_size=8",
    )
    always += ("teacher.allow_weak=true", *settings)
    who = ("distill", "--teacher", TEACHER, "--student", STUDENT, "--recipe", "few_labels")
    return (*who, "--data", str(pictures), *(word for one in always for word in ("--set", one)))


def test_the_student_sees_all_images_in_as_many_steps_as_its_baseline_sees_ten_of_each_class(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    wild = shutil.copytree(pictures / "two", tmp_path / "wild")
    said = kd_ok(*line(pictures, TEN, f"data.unlabelled={wild}", "train.epochs=1")).err
    assert "data.labelled_share: 30 images with labels, 94 without; 4 of a batch of 8 " in said
    assert "(self-training later ~ " in said, "it is in the plan"
    student = Run(empty_house.run("few_labels-"))
    teacher = Run(empty_house.run("teacher-"))
    assert teacher.spec.recipe.data.hidden == student.spec.recipe.data.hidden
    report = kd_ok("evaluate", student.path, "--json").document
    assert (
        f"teacher {TEACHER}: has learnt from 0 labels that the baseline has not" in report["notes"]
    )
    assert report["models"]["self_training"]["name"] == STUDENT
    assert -1 < report["comparison"]["self_training"]["gain"] < 1
    baseline = Run(empty_house.run("baseline-"))
    assert (baseline.spec.unlabelled, baseline.spec.recipe.data.labelled_share) == (None, None)
    steps = [[one["step"] for one in run.lines() if "step" in one] for run in (student, baseline)]
    assert steps[0] == steps[1] == [23], "a pass over the 94, which are half of each batch"
    assert all(0 < one["train_accuracy"] <= 1 for one in student.lines() if "step" in one)
    taught_by = [Run(place).spec.members[0].spec for place in empty_house.runs("few_labels-")]
    roles = sorted(one.role for one in taught_by if one)
    assert roles == ["baseline", "teacher"], "self-training's teacher is the baseline"


@pytest.mark.slow
def test_a_teacher_of_all_labels_is_told_of(small: House, pictures: Path) -> None:
    foreign = shutil.copy(small.student / "model.pt", small.path.parent)
    source, _ = open_data(str(pictures), Silent(), surveyed=False)
    for teacher in (small.teacher / "model.pt", Path(foreign)):
        words = [str(teacher) if word == TEACHER else word for word in line(pictures, TEN)]
        run = Run(Path(kd_ok(*words, "--json").document["run"]))
        (said,) = notes_on_labels(run, source, Silent())
        known = "has learnt from 54 labels that the baseline has not"
        assert (known if teacher != Path(foreign) else "nobody can know which labels") in said


def test_what_a_teacher_of_another_folder_has_seen_is_found_by_content(
    small: House, pictures: Path, tmp_path: Path
) -> None:
    part = shutil.copytree(pictures, tmp_path / "part")
    for folder in part.iterdir():
        for picture in sorted(folder.iterdir())[::3]:
            picture.rename(picture.with_name(f"renamed-{picture.name}"))
        sorted(folder.iterdir())[0].unlink()
    words = [str(small.teacher) if word == TEACHER else word for word in line(part, TEN)]
    found = kd_ok(*words, "--json")
    source, run = (
        open_data(str(part), Silent(), surveyed=False)[0],
        Run(Path(found.document["run"])),
    )
    learnt = labelled_split(*_of(small.teacher))
    theirs, own = sums(learnt), sums(labelled_split(run.spec, source))
    tested, validated = sums(source.test), sums(source.validation)
    assert theirs & tested
    assert theirs & validated
    twice = len(theirs & tested) + len(theirs & validated)
    assert f"has learnt from {twice} images of validation or test" in found.err
    labels, test = notes_on_labels(run, source, Silent())
    assert f"has learnt from {len(theirs - own)} labels that the baseline has not" in labels
    assert f"has learnt from {len(theirs & tested)} test images: its accuracy flatters" in test
    with pytest.MonkeyPatch.context() as patch:
        taught = _of(small.teacher)[0]
        patch.setattr("kdcli.evaluation.labels_seen._behind", lambda _: iter([taught, taught]))
        assert notes_on_labels(run, source, Silent())[1] == test, "an image counts once"


def _of(place: Path) -> tuple[Spec, Source]:
    run = Run(place)
    return run.spec, reopen_data(run.spec.data, Silent())


def sums(split: Split) -> set[tuple[int, ...]]:
    return {tuple(row) for row in split.read.sums.tolist()}


@pytest.mark.slow
def test_what_a_teachers_own_teacher_knows_counts(small: House, pictures: Path) -> None:
    words = [str(small.teacher) if word == TEACHER else word for word in line(pictures, TEN)]
    run = Run(Path(kd_ok(*words, "--assistant", TEACHER, "--json").document["run"]))
    source, _ = open_data(str(pictures), Silent(), surveyed=False)
    (said,) = notes_on_labels(run, source, Silent())
    assert said == f"assistant {TEACHER}: has learnt from 54 labels that the baseline has not"


def test_where_all_have_labels_it_is_said(empty_house: House, pictures: Path) -> None:
    said = kd_ok(*line(pictures), "--dry-run").err
    assert "warning: data.labelled_share: there are no images without labels" in said


def test_a_share_is_told_of_the_training_images_alone(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    wild = shutil.copytree(pictures / "two", tmp_path / "wild")
    settings = ("data.subset=0.5", f"data.unlabelled={wild}")
    said = kd_ok(*line(pictures, *settings), "--dry-run").err
    assert "data.subset: 42 of 84 training images" in said


@pytest.mark.slow
def test_a_folder_that_is_gone_is_named(empty_house: House, pictures: Path, tmp_path: Path) -> None:
    wild = shutil.copytree(pictures / "two", tmp_path / "wild")
    kd_ok(*line(pictures, f"data.unlabelled={wild}"))
    run = empty_house.run("few_labels-")
    kd_ok("evaluate", run, "--seeds", "2")
    shutil.rmtree(wild)
    kd_ok("evaluate", run, "--seeds", "2")
    answer = kd("evaluate", run, "--seeds", "3")
    assert answer.code == 3
    assert f"{wild}: gone" in answer.err


@pytest.mark.slow
def test_a_folder_that_has_moved_is_told_by_the_same_command(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    wild = shutil.copytree(pictures / "two", tmp_path / "wild")
    kd_ok(*line(pictures, f"data.unlabelled={wild}"))
    moved = wild.rename(tmp_path / "moved")
    run = empty_house.run("few_labels-")
    assert kd("evaluate", run).code == 3
    said = kd_ok(*line(pictures, f"data.unlabelled={moved}")).err
    assert "finished earlier" in said
    kd_ok("evaluate", run)


@pytest.mark.parametrize(
    ("recipe", "setting", "words"),
    [
        ("few_labels", "train.mixup=0.2", "--set task.weight=0"),
        ("few_labels", "train.balance=sampler", "sampler needs every image's label"),
        ("few_labels", "teacher.follow=together", "together needs every image's label"),
        ("compress", "data.labelled_share=0.5", "compress gives all images labels"),
        ("mutual", "data.labelled_share=0.5", "mutual has no teacher"),
        ("kd", "data.unlabelled=here", "data.labelled_share=0.5"),
    ],
)
def test_what_unknown_labels_leave_undefined_is_refused(
    recipe: str, setting: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_in_recipe(load_recipe(recipe, (setting,)).recipe)
    assert words in f"{caught.value.what} {caught.value.fix}"


def test_without_a_loss_of_labels_images_may_be_mixed() -> None:
    settings = ("task.weight=0", "train.mixup=1.0")
    refuse_in_recipe(load_recipe("few_labels", settings).recipe)


@pytest.mark.parametrize("method", ["dkd", "ofa"])
def test_methods_that_read_labels_are_refused(
    method: str, empty_house: House, pictures: Path
) -> None:
    answer = kd(*line(pictures, TEN, f"methods.{method}.weight=1"))
    assert answer.code == 2
    assert f"methods.{method}: reads every image's label" in answer.err
