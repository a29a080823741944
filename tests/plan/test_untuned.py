"""A teacher of other classes, from the command line to the report."""

import shutil
from pathlib import Path

import pytest
import timm
import torch
from house import STUDENT, TEACHER, House, kd, kd_ok, same_weights

NULL = "the teacher has other classes than the data"


def line(teacher: Path | str, pictures: Path, *settings: str, recipe: str = "simreg") -> list[str]:
    always = ("teacher.tune=none", "train.epochs=2", "train.batch_size=32", *settings)
    who = ("distill", "--teacher", str(teacher), "--student", STUDENT, "--recipe", recipe)
    return [*who, "--data", str(pictures), *(word for one in always for word in ("--set", one))]


@pytest.fixture
def teacher(empty_house: House) -> Path:
    """Of ten digits, two steps old: nobody asks how good it is."""
    few = ("--set", "train.epochs=1", "--set", "train.epoch_images=64")
    kd_ok("train", TEACHER, "--data", "digits", *few)
    return Path(empty_house.teacher)


def test_a_run_of_ten_digits_teaches_three_names(
    teacher: Path, empty_house: House, pictures: Path
) -> None:
    said = kd_ok(*line(teacher, pictures))
    assert "10 classes of its own: asked for what it sees" in said.err
    assert "teacher (on digits)" in said.out, "whose accuracy is no accuracy here"
    run = empty_house.run("simreg-")

    answer = kd("evaluate", run, "--json", "--min", "comparison.gap_closed=0")
    assert answer.code == 8
    report = answer.document
    above, compared = report["models"]["teacher"], report["comparison"]
    assert above["name"] == TEACHER
    assert above["params"] > 0 < above["macs"]
    assert above["accuracy"] is above["nll"] is report["models"]["student"]["agreement"] is None
    for key in ("gap_closed", "accuracy_drop", "agreement", "distillation_score"):
        assert compared[key] is None, key
    assert 0 < compared["size_reduction"] < 1
    assert compared["verdict_code"].startswith("one_seed"), "the baseline is there as always"
    assert report["gates"][0]["why"] == NULL
    assert any("has other classes than the data" in note for note in report["notes"])
    assert "against the teacher" in (run / "report.md").read_text("utf-8")
    another = kd_ok(*line(teacher, pictures, "methods.simreg.weight=2"), "--dry-run")
    assert "it has other classes than the data, and no accuracy to go by" in another.out


@pytest.mark.slow
def test_its_student_is_exported_and_learns_the_same_from_what_is_stored(
    teacher: Path, empty_house: House, pictures: Path
) -> None:
    kd_ok(*line(teacher, pictures))
    run = empty_house.run("simreg-")
    kd_ok("evaluate", run)
    exported = kd_ok("export", run, "--json").document
    assert exported["comparison"]["speedup"]["onnxruntime"] > 0
    assert exported["models"]["teacher"]["accuracy"] is None
    assert str(run) in kd_ok("list", "runs").out
    live = shutil.copy(run / "model.pt", pictures.parent / "live.pt")
    again = kd_ok(*line(teacher, pictures, "teacher.answers=stored"), "--again").err
    assert "student's baseline" not in again, "nobody is ahead of it, or behind"
    assert same_weights(Path(live), run / "model.pt"), "its embeddings are stored, no answer is"


@pytest.mark.slow
def test_weights_without_a_classifier_teach_by_embeddings_and_maps(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    file = tmp_path / "foundation.pth"
    torch.save(timm.create_model(TEACHER, num_classes=0).state_dict(), file)
    further = ("methods.fitnet.weight=100", "methods.crd.weight=0.8", "data.labelled_share=0.5")
    further += ("data.hidden={keep: 10}", "teacher.image_size=64")
    said = kd_ok(*line(f"{TEACHER}={file}", pictures, *further)).err
    assert "taken as it is: no classes, fed 64 pixels" in said


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("kd", "methods.kd reads what a teacher answers"),
        ("dkd", "methods.dkd reads what a teacher answers"),
        ("compress", "scheme compress has its teacher answer for these"),
    ],
)
def test_nobody_asks_it_what_it_does_not_know(
    recipe: str, words: str, teacher: Path, empty_house: House, pictures: Path
) -> None:
    answer = kd(*line(teacher, pictures, recipe=recipe))
    assert answer.code == 2
    assert words in answer.err
    assert empty_house.runs() == [teacher]


def test_a_teacher_of_the_datas_classes_answers_as_ever(small: House, pictures: Path) -> None:
    kd_ok(*line(small.teacher, pictures, recipe="kd"), "--dry-run")


def test_an_untrained_network_is_refused(empty_house: House, pictures: Path) -> None:
    name = next(n for n in timm.list_models("vit_*") if not timm.list_pretrained(f"{n}*"))
    answer = kd(*line(name, pictures))
    assert answer.code == 2
    assert "an untrained network teaches nothing" in answer.err
