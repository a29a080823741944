"""Somebody else's weights on the command line: a finished teacher, a start, a file to export."""

import argparse
import json
import os
import shutil
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from house import QUICK_TEACHER, STUDENT, TEACHER, House, kd, kd_ok, weights_of
from safetensors.torch import save_file
from timm.models._hub import save_for_hf

from kdcli.core.errors import DataError, UsageError
from kdcli.core.files import sha256
from kdcli.models.checkpoint import load_model
from kdcli.models.given import is_given, read_labels
from kdcli.runs.run import Run

CLASSES = ("one", "two", "zero")
SIZE = ("--set", "data.image_size=8")


@pytest.fixture
def foreign(small: House, tmp_path: Path) -> Path:
    """The weights of a good teacher of the pictures, as another tool would have left them."""
    path = tmp_path / "meine Gewichte=ü.pth"
    torch.save(weights_of(small.teacher / "model.pt"), path)
    return path


def line(teacher: Path | str, pictures: Path, *more: str | Path) -> tuple[str | Path, ...]:
    who = ("distill", "--teacher", teacher, "--student", STUDENT)
    return (*who, "--data", pictures, "--set", "train.epochs=1", *more)


def given(house: House) -> list[Path]:
    return sorted(house.path.glob("given-*/model.pt"))


def student_of(house: House) -> Run:
    """The run that was made last."""
    runs = house.runs("kd-")
    return Run(max(runs, key=lambda run: (run / "run.yaml").stat().st_mtime))


# Spelling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thing", "is_so"),
    [
        ("resnet18=w.pth", True),
        ("resnet18=a=b c/ü.pth", True),
        ("hf-hub:org/name", True),
        ("local-dir:/folder", True),
        ("resnet18", False),
        ("runs/lr=0.1/model.pt", False),
        ("C:\\lr=1\\model.pt", False),
    ],
)
def test_what_is_spelled_as_weights(thing: str, is_so: bool) -> None:
    assert is_given(thing) == is_so


def test_a_file_that_is_there_is_that_file(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "a=b.pt").touch()
    monkeypatch.chdir(tmp_path)
    assert not is_given("a=b.pt")


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ("test_resnett={w}", "did you mean 'test_resnet'?"),
        ("test_resnet=nothing.pth", "nothing.pth is no such file"),
        ("test_resnet=", "no file behind the '='"),
        ("={w}", "no model before the '='"),
        ("test_resnet={dir}", "give local-dir:FOLDER"),
        ("local-dir:{dir}", "no config.json"),
        ("local-dir:", "names nothing"),
    ],
)
@pytest.mark.parametrize("role", ["--teacher", "--student"])
def test_what_is_misspelled_is_told_before_any_work(
    role: str, thing: str, words: str, empty_house: House, tmp_path: Path
) -> None:
    (tmp_path / "w.pth").touch()
    thing = thing.format(w=tmp_path / "w.pth", dir=tmp_path)
    other = "--student" if role == "--teacher" else "--teacher"
    answer = kd("distill", role, thing, other, TEACHER)
    assert answer.code == 2
    assert words in answer.err
    assert not empty_house.path.exists()


def test_class_names_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffKätzchen\r\nbig dog \r\n\r\n".encode())
    assert read_labels(path) == ("Kätzchen", "big dog")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\n\nb", "line 2: an empty line"),
        (b"a\nb\na", "line 3: 'a' stands there twice"),
        (b"a", "1 names"),
        (b"", "0 names"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_class_names_that_are_none(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_labels(path)
    with pytest.raises(UsageError):
        read_labels(tmp_path / "nothing.txt")


# A finished teacher ------------------------------------------------------------------------------


def test_a_finished_teacher_is_adopted_and_teaches(
    foreign: Path, small: House, pictures: Path
) -> None:
    """At the size at which it answers, found by trying; everything behind works as ever."""
    answer = kd_ok(*line(f"{TEACHER}={foreign}", pictures))
    assert "names no classes: taken to be the data's, in order: one, two, zero" in answer.err
    assert "says no image size; tried on some validation images" in answer.err
    assert "balanced validation accuracy" in answer.err
    (place,) = given(small)
    file = load_model(place)
    own = load_model(small.teacher / "model.pt")
    assert file.classes == CLASSES
    assert file.model == own.model, "the size, mean and std of the model that it is"
    assert file.provenance["sha256"] == sha256(foreign)
    assert file.provenance["given"] == foreign.name
    assert all(torch.equal(file.state_dict[k], v) for k, v in own.state_dict.items())
    run = student_of(small)
    assert run.needs()["teacher.0"].sha256 == sha256(place)
    assert kd_ok("list", "runs").out.count("given-") == 1, "no run, but something on the disk"
    report = json.loads(kd_ok("evaluate", run.path, "--json").out)
    assert report["models"]["teacher"]["name"] == TEACHER


def test_it_is_adopted_once_and_found_again(
    foreign: Path, small: House, pictures: Path, tmp_path: Path
) -> None:
    command = line(f"{TEACHER}={foreign}", pictures, "--json")
    first = kd_ok(*command).document["run"]
    (place,) = given(small)
    before, when = sha256(place), place.stat().st_mtime_ns
    answer = kd_ok(*command)
    assert "adopted before" in answer.err
    assert answer.document["run"] == first
    assert place.stat().st_mtime_ns == when
    shutil.rmtree(place.parent)
    moved = foreign.rename(tmp_path / foreign.name.upper())
    kd_ok(*line(f"{TEACHER}={moved}", pictures))
    (place,) = given(small)
    assert load_model(place).state_dict.keys() == weights_of(small.teacher / "model.pt").keys()
    shutil.rmtree(place.parent)
    back = moved.rename(foreign)
    assert kd_ok(*line(f"{TEACHER}={back}", pictures, "--json")).document["run"] == first
    assert sha256(given(small)[0]) == before, "the same weights give the same bytes"


def test_timms_own_training_checkpoint(
    foreign: Path, small: House, pictures: Path, tmp_path: Path
) -> None:
    state = torch.load(foreign, weights_only=True)
    zero = {key: torch.zeros_like(value) for key, value in state.items()}
    averaged = {f"module.{key}": value for key, value in state.items()}
    raw = {"epoch": 9, "arch": TEACHER, "state_dict": zero, "state_dict_ema": averaged}
    path = tmp_path / "model_best.pth.tar"
    torch.save(raw | {"args": argparse.Namespace(model=TEACHER, lr=0.1), "version": 2}, path)
    answer = kd_ok(*line(f"{TEACHER}={path}", pictures))
    assert "its averaged (EMA) weights, 'state_dict_ema'" in answer.err
    assert "keys taken without their 'module.'" in answer.err


def test_code_is_refused_and_does_not_run(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "canary"),)

    path = tmp_path / "w.pth"
    torch.save({"state_dict": timm.create_model(TEACHER).state_dict(), "x": Bomb()}, path)
    answer = kd(*line(f"{TEACHER}={path}", pictures))
    assert answer.code == 7
    assert "nothing in it was run" in answer.err
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
def test_a_weak_teacher_is_refused_before_any_training(
    dry: tuple[str, ...], empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model(TEACHER, num_classes=3).state_dict(), path)
    answer = kd(*line(f"{TEACHER}={path}", pictures, *dry))
    assert answer.code == 3
    assert "hardly better than chance" in answer.err
    assert "--classes FILE" in answer.err
    assert "--set data.image_size=N" in answer.err
    assert not list(empty_house.path.glob("*/metrics.jsonl"))


def test_a_teacher_in_another_order_is_put_in_the_datas(
    foreign: Path, small: House, pictures: Path, tmp_path: Path
) -> None:
    """A file whose classes run zero, one, two; the data's are sorted."""
    state, order = torch.load(foreign, weights_only=True), [2, 0, 1]
    torch.save({k: v[order] if k.startswith("fc.") else v for k, v in state.items()}, foreign)
    labels = tmp_path / "labels.txt"
    labels.write_text("zero\none\ntwo\n", "utf-8")
    told = kd_ok(*line(f"{TEACHER}={foreign}", pictures, "--classes", labels)).err
    assert "its classes by --classes: zero, one, two" in told
    assert "its answers are put in the data's order" in told
    adopted = weights_of(given(small)[0])
    assert torch.equal(adopted["fc.weight"], state["fc.weight"])
    assert torch.equal(adopted["fc.bias"], state["fc.bias"])


def in_order_of(state: dict[str, torch.Tensor], order: list[int]) -> dict[str, torch.Tensor]:
    return {k: v[order] if k.startswith("fc.") else v for k, v in state.items()}


@pytest.mark.parametrize("where", ["in the file", "beside it"])
def test_the_classes_that_a_checkpoint_names_are_put_in_the_datas_order(
    where: str, foreign: Path, small: House, pictures: Path
) -> None:
    state = torch.load(foreign, weights_only=True)
    names = {"zero": 0, "one": 1, "two": 2}
    raw: dict[str, Any] = {"state_dict": in_order_of(state, [2, 0, 1])}
    if where == "in the file":
        raw |= {"hyper_parameters": {"class_to_idx": names}}
    else:
        config = {"id2label": {str(i): name for name, i in names.items()}}
        foreign.with_name("config.json").write_text(json.dumps(config), "utf-8")
    torch.save(raw, foreign)
    answer = kd_ok(*line(f"{TEACHER}={foreign}", pictures, "--dry-run"))
    assert "names no classes" not in answer.err
    assert "zero, one, two" in answer.err
    assert torch.equal(weights_of(given(small)[0])["fc.weight"], state["fc.weight"])


def test_other_classes_in_a_checkpoint_are_refused(
    foreign: Path, small: House, pictures: Path
) -> None:
    state = torch.load(foreign, weights_only=True)
    torch.save({"state_dict": state, "classes": ["eins", "zwei", "null"]}, foreign)
    answer = kd(*line(f"{TEACHER}={foreign}", pictures))
    assert answer.code == 3
    assert "its class 0 is 'eins', that of the data is 'one'" in answer.err
    assert not given(small)


@pytest.mark.parametrize(("names", "kept"), [("zero one two", True), ("null eins zwei", False)])
def test_a_start_whose_classes_are_named_is_put_in_order(
    names: str, *, kept: bool, foreign: Path, small: House, pictures: Path
) -> None:
    state = torch.load(foreign, weights_only=True)
    torch.save({"model": in_order_of(state, [2, 0, 1]), "classes": names.split()}, foreign)
    still = ("--set", "train.lr=1e-30", "--set", "train.weight_decay=0", "--set", "train.epochs=1")
    answer = kd_ok("train", f"{TEACHER}={foreign}", "--data", pictures, *still, "--json")
    after = weights_of(Path(answer.document["run"]) / "model.pt")
    assert torch.equal(after["fc.weight"], state["fc.weight"]) == kept
    assert ("in the order of the data's classes" in answer.err) == kept
    assert ("it answers other classes" in answer.err) != kept


def test_the_size_is_chosen_anew_for_other_images(
    foreign: Path, small: House, pictures: Path, tmp_path: Path
) -> None:
    """Validation images choose it, so they are part of what the adopted file is found by."""
    kd_ok(*line(f"{TEACHER}={foreign}", pictures, "--dry-run"))
    other = tmp_path / pictures.name
    shutil.copytree(pictures, other)
    next(other.rglob("*.png")).unlink()
    assert "adopted before" not in kd_ok(*line(f"{TEACHER}={foreign}", other, "--dry-run")).err
    assert len(given(small)) == 2


def test_plain_values_beside_weights_hold_no_code(
    foreign: Path, small: House, pictures: Path
) -> None:
    raw = {"state_dict": torch.load(foreign, weights_only=True), "best": np.float64(0.9)}
    raw |= {"dir": Path("/runs"), "curve": np.arange(3.0), "of": defaultdict(list, a=[1])}
    torch.save(raw | {"when": datetime(2024, 2, 29, tzinfo=UTC)}, foreign)
    kd_ok(*line(f"{TEACHER}={foreign}", pictures, "--dry-run"))


@pytest.mark.parametrize(
    ("labels", "code", "words"),
    [
        ("one\ntwo", 2, "--classes names 2 classes, "),
        ("one\ntwo\nthree", 3, "its class 2 is 'three', that of the data is 'zero'"),
    ],
)
def test_class_names_that_do_not_fit(
    labels: str, code: int, words: str, foreign: Path, small: House, pictures: Path, tmp_path: Path
) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(labels, "utf-8")
    answer = kd(*line(f"{TEACHER}={foreign}", pictures, "--classes", path))
    assert answer.code == code
    assert words in answer.err
    assert not given(small)


def test_class_names_are_for_foreign_weights(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_text("a\nb", "utf-8")
    answer = kd(*line(TEACHER, pictures, "--classes", tmp_path / "labels.txt"))
    assert answer.code == 2
    assert "leave --classes out" in answer.err


def test_a_folder_of_timms_names_its_classes_and_its_size(
    foreign: Path, small: House, pictures: Path, tmp_path: Path
) -> None:
    own = load_model(small.teacher / "model.pt")
    size = own.model["input_size"]
    model = timm.create_model(TEACHER, num_classes=3)
    model.load_state_dict(own.state_dict)
    save_for_hf(
        model,
        tmp_path / "ein Modell",
        model_config={"label_names": list(CLASSES)},
        safe_serialization=True,
    )
    config = tmp_path / "ein Modell" / "config.json"
    raw = json.loads(config.read_text("utf-8"))
    raw["pretrained_cfg"]["input_size"] = [3, size, size]
    config.write_text(json.dumps(raw), "utf-8")
    answer = kd_ok(*line(f"local-dir:{tmp_path / 'ein Modell'}", pictures))
    assert f"fed {size} pixels" in answer.err
    assert "names no classes" not in answer.err
    file = load_model(given(small)[0])
    assert file.provenance["licence"] == "apache-2.0"
    assert file.provenance["given"] == "local-dir:ein Modell"
    assert file.model["options"] == {"global_pool": "avg"}


# A start -----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Weights of a thousand other classes."""
    path = tmp_path / "in1k.safetensors"
    torch.manual_seed(7)
    state = timm.create_model(STUDENT).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def test_weights_of_other_classes_are_a_teachers_start(
    elsewhere: Path, empty_house: House, pictures: Path
) -> None:
    quick = ("--set", f"teacher.recipe={QUICK_TEACHER}")
    answer = kd(
        *line(f"{STUDENT}={elsewhere}", pictures, *quick, "--set", "teacher.allow_weak=true")
    )
    assert answer.code == 0, answer.err
    assert "answers 1,000 classes, the data have 3: a start" in answer.err
    assert "its classifier is made anew" in answer.err
    spec = Run(empty_house.teacher).spec
    assert spec.weights is not None
    assert spec.weights.sha256 == sha256(elsewhere)
    assert spec.recipe.student.pretrained is True
    assert not given(empty_house)


def test_student_and_baseline_start_alike(elsewhere: Path, small: House, pictures: Path) -> None:
    """Nothing is learned at a rate of next to nothing: what is shipped is what was started from."""
    still = ("--set", "train.lr=1e-30", "--set", "train.weight_decay=0")
    kd_ok(
        *("distill", "--teacher", small.teacher, "--student", f"{STUDENT}={elsewhere}"),
        *("--data", pictures, "--set", "train.epochs=1", *still),
    )
    run = student_of(small)
    kd_ok("evaluate", run.path)
    (baseline,) = [r for r in small.runs("baseline-") if Run(r).spec.weights]
    one, other = weights_of(run.model), weights_of(baseline / "model.pt")
    key = "conv_stem.weight"
    assert torch.equal(one[key], other[key])
    torch.manual_seed(7)
    assert torch.equal(one[key], timm.create_model(STUDENT).state_dict()[key])
    assert torch.equal(one["classifier.weight"], other["classifier.weight"])
    assert one["classifier.weight"].shape[0] == 3


def test_another_start_is_another_run_and_none_is_another(
    elsewhere: Path, empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    command = ("--data", pictures, "--set", "train.epochs=1", "--json")
    first = kd_ok("train", f"{STUDENT}={elsewhere}", *command).document["run"]
    copy = shutil.copy(elsewhere, tmp_path / "copy.safetensors")
    assert kd_ok("train", f"{STUDENT}={copy}", *command).document["run"] == first
    save_file(timm.create_model(STUDENT).state_dict(), elsewhere)
    assert kd_ok("train", f"{STUDENT}={elsewhere}", *command).document["run"] != first
    assert kd_ok("train", STUDENT, *command).document["run"] != first


def unusable(kind: str, path: Path) -> Path:
    """A file that is no start for STUDENT."""
    state = timm.create_model(TEACHER if kind == "another model's" else STUDENT).state_dict()
    if kind == "not finite":
        state["classifier.bias"][3] = torch.nan
    torch.save(state, path)
    if kind == "empty":
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("empty", 7, "an empty file"),
        ("another model's", 2, f"does not fit {STUDENT}"),
        ("not finite", 7, "first in classifier.bias"),
    ],
)
@pytest.mark.parametrize("dry", [("--dry-run",), ()])
@pytest.mark.parametrize("verb", ["--teacher", "--student", "train"])
def test_weights_that_cannot_be_used_are_refused_while_planning(
    *,
    verb: str,
    dry: tuple[str, ...],
    kind: str,
    code: int,
    words: str,
    empty_house: House,
    pictures: Path,
    tmp_path: Path,
) -> None:
    thing = f"{STUDENT}={unusable(kind, tmp_path / 'w.pth')}"
    other = "--student" if verb == "--teacher" else "--teacher"
    who = ("train", thing) if verb == "train" else ("distill", verb, thing, other, TEACHER)
    answer = kd(*who, "--data", pictures, "--set", "train.epochs=1", *dry)
    assert answer.code == code
    assert words in answer.err
    assert "plan:" not in answer.err
    assert not list(empty_house.path.glob("*"))


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_start_that_is_not_what_it_was_is_refused(
    how: str, elsewhere: Path, small: House, pictures: Path
) -> None:
    who = ("distill", "--teacher", small.teacher, "--student", f"{STUDENT}={elsewhere}")
    kd_ok(*who, "--data", pictures, "--set", "train.epochs=1")
    run = student_of(small)
    if how == "gone":
        elsewhere.unlink()
    else:
        save_file({"w": torch.ones(1)}, elsewhere)
    answer = kd("evaluate", run.path)
    assert answer.code == 7
    assert f"starting weights {elsewhere}: gone, or no longer the file" in answer.err


def test_a_run_may_be_a_start_and_a_classifier_that_fits_is_kept(
    small: House, pictures: Path
) -> None:
    thing = f"{TEACHER}={small.teacher / 'model.pt'}"
    answer = kd_ok("train", thing, "--data", pictures, "--set", "train.epochs=1")
    assert "its classifier is kept" in answer.err


def test_a_file_without_a_name_says_what_to_give(elsewhere: Path, empty_house: House) -> None:
    answer = kd("train", elsewhere)
    assert answer.code == 2
    assert f"NAME={elsewhere}" in answer.err


# A file to export --------------------------------------------------------------------------------


@pytest.mark.slow
def test_weights_are_exported_beside_themselves(tmp_path: Path, empty_house: House) -> None:
    folder = tmp_path / "ein Ordner"
    folder.mkdir()
    path = folder / "best.pth.tar"
    torch.save({"state_dict": timm.create_model(TEACHER, num_classes=4).state_dict()}, path)
    answer = kd_ok("export", path, "--model", TEACHER, "--size", "32", "--json")
    assert "they are called 0 to 3" in answer.err
    assert {f.name for f in folder.iterdir()} == {
        *("best.pth.tar", "best.kd.pt", "best-export", "best.report.json", "best.report.md")
    }
    report = answer.document
    assert report["exports"][0]["parity"]["synthetic"] is True
    file = load_model(folder / "best.kd.pt")
    assert file.classes == ("0", "1", "2", "3")
    assert file.model["input_size"] == 32


@pytest.mark.slow
def test_their_classes_and_their_place_may_be_given(tmp_path: Path, empty_house: House) -> None:
    path, labels, out = tmp_path / "w.pth", tmp_path / "labels.txt", tmp_path / "there" / "m.onnx"
    torch.save(timm.create_model(TEACHER, num_classes=2).state_dict(), path)
    labels.write_text("Kätzchen\nHund\n", "utf-8")
    command = ("export", path, "--model", TEACHER, "--size", "32", "--classes", labels)
    kd_ok(*command, "--out", out)
    assert load_model(out.parent / "w.kd.pt").classes == ("Kätzchen", "Hund")
    assert out.is_file()
    assert {f.name for f in tmp_path.iterdir()} == {"w.pth", "labels.txt", "there"}
    labels.write_text("a\nb\nc\n", "utf-8")
    answer = kd(*command)
    assert answer.code == 2
    assert "--classes names 3 classes" in answer.err


def test_weights_that_are_not_finite_are_not_exported(tmp_path: Path, empty_house: House) -> None:
    path = unusable("not finite", tmp_path / "w.pth")
    answer = kd("export", path, "--model", STUDENT)
    assert answer.code == 7
    assert "NaN or infinity in 1 of " in answer.err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("{w}",), "--model NAME", 7),
        (("--model", TEACHER), "kd export weights.pth --model resnet101", 2),
        (("{w}", "--classes", "c.txt"), "--model is missing", 2),
        (("{w}", "--size", "32"), "kd export {w} --model NAME", 2),
        (("{w}", "--model", "test_resnett"), "did you mean 'test_resnet'", 2),
        (("{w}", "--model", TEACHER), "has no classifier", 2),
    ],
)
def test_what_cannot_be_exported(
    arguments: tuple[str, ...], words: str, code: int, tmp_path: Path, empty_house: House
) -> None:
    path = tmp_path / "w.pth"
    torch.save(timm.create_model(TEACHER, num_classes=0).state_dict(), path)
    answer = kd("export", *(a.format(w=path) for a in arguments))
    assert answer.code == code
    assert words.format(w=path) in answer.err
    assert not list(tmp_path.glob("*.onnx"))


def test_the_same_weights_teach_data_that_were_moved_and_renamed(
    foreign: Path, small: House, pictures: Path, tmp_path: Path
) -> None:
    """Its bytes are in every student's digest."""
    elsewhere = shutil.copytree(pictures, tmp_path / "bilder")
    for data in (pictures, elsewhere):
        kd_ok(*line(f"{TEACHER}={foreign}", data), "--set", "data.image_size=32", "--dry-run")
    adopted = list(small.path.glob("given-*/model.pt"))
    assert len(adopted) == 2
    assert len(set(map(sha256, adopted))) == 1


@pytest.mark.parametrize(
    "order",
    [pytest.param([*range(1, 10), 0], marks=pytest.mark.slow), [0, 1, 2, 8, 4, 5, 6, 7, 3, 9]],
)
def test_classes_in_another_order_are_noticed(
    distilled: House, tmp_path: Path, order: list[int]
) -> None:
    """Under other names the teacher would be a good one: all in other places, or two of ten, who
    leave it better than most."""
    weights = dict(torch.load(distilled.teacher / "model.pt", weights_only=True)["state_dict"])
    for key in ("fc.weight", "fc.bias"):
        weights[key] = weights[key][order]
    torch.save(weights, tmp_path / "w.pth")
    given = ("--teacher", f"{TEACHER}={tmp_path / 'w.pth'}", "--set", "data.image_size=32")
    answer = kd("distill", *given, "--student", STUDENT, "--data", "digits", "--dry-run")
    assert answer.code == 3
    assert "seem to stand in another order" in answer.err
    if order[0] == 0:
        assert "'3' where the data say '8'" in answer.err
        assert "'8' where the data say '3'" in answer.err
    looked = ("inspect", given[1], "--data", "digits")
    assert "seem to stand in another order" in kd_ok(*looked).err
    (tmp_path / "labels.txt").write_text("\n".join(map(str, order)))
    named = kd_ok(*looked, "--classes", tmp_path / "labels.txt")
    assert "another order" not in named.err
    assert "--classes" in answer.err


def test_inspect_tries_the_sizes_that_distill_does(
    foreign: Path, small: House, pictures: Path
) -> None:
    spelled = f"{TEACHER}={foreign}"
    answer = kd_ok("inspect", spelled, "--data", pictures)
    tried = kd_ok(*line(spelled, pictures, "--dry-run")).err.partition("it tells apart ")[2]
    right = tried.splitlines()[0]
    size = load_model(given(small)[0]).model["input_size"]
    assert right in answer.err
    assert f"{size} x {size} px" in answer.out
    assert f"next: kd export '{spelled}' --size {size}" in answer.out
    for wrong in ("None", "data, seed", "random weights"):
        assert wrong not in answer.out
