"""`kd evaluate`: the report, the baseline, gates, and several seeds."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from house import STUDENT, TEACHER, House, kd, kd_ok, on_pictures

from kdcli.core.errors import DataError
from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.data.reopen import reopen_data
from kdcli.data.store import open_store
from kdcli.report.keys import numeric_keys
from kdcli.report.schema import Report
from kdcli.runs.run import Run


def _report(run: Path) -> dict[str, Any]:
    """report.json, strictly JSON."""
    text = (run / "report.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return found


OF_A_MODEL = [
    *("name", "accuracy", "accuracy_ci95.low", "accuracy_ci95.high", "nll", "ece", "agreement"),
    *("kl_to_teacher", "params", "macs", "file_bytes", "train_seconds"),
    *("latency_ms.pytorch.p50", "latency_ms.pytorch.p90"),
    *(f"latency_ms.onnxruntime.{key}" for key in ("p50", "p90", "p99", "cold", "runs")),
    *("balanced_accuracy", "macro_f1", "worst_class_recall", "worst_class"),
]
OF_THE_COMPARISON = [
    *("gain", "gain_ci95.low", "gain_ci95.high", "p_value", "detectable_gain", "gap_closed"),
    *("size_reduction", "macs_reduction", "speedup.pytorch", "speedup.onnxruntime"),
    *("accuracy_drop", "agreement", "distillation_score", "size_priority", "seeds", "verdict_code"),
    *("balanced_gain", "balanced_gain_ci95.low", "balanced_gain_ci95.high"),
    *("class_lost_most.name", "class_lost_most.drop", "class_lost_most.test_images"),
    *("class_lost_most.ci95.low", "class_lost_most.ci95.high"),
]
OF_AN_EXPORT = [
    *("path", "sha256", "input", "precision", "opset", "bytes", "accuracy"),
    *("parity.max_abs", "parity.top1_changed", "parity.images"),
    *("latency_ms.p50", "latency_ms.p90"),
]
DOCUMENTED = [
    *(f"models.{role}.{k}" for role in ("teacher", "student", "baseline") for k in OF_A_MODEL),
    *(f"comparison.{key}" for key in OF_THE_COMPARISON),
    *(f"data.{key}" for key in ("name", "is_default", "classes", "test_images", "imbalance")),
    *(f"exports.0.{key}" for key in OF_AN_EXPORT),
    *("measured_on", "processor", "threads", "protocol", "noise", "noise_pytorch"),
]
"""What pipelines read."""


@pytest.mark.parametrize("key", DOCUMENTED)
def test_the_report_has_what_pipelines_read(key: str, finished_once: House) -> None:
    value: Any = _report(finished_once.student)
    for step in key.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    assert value is not None


def test_every_number_that_pipelines_read_can_be_a_gate() -> None:
    texts = {"name", "worst_class", "verdict_code", "path", "sha256", "input", "precision"}
    texts |= {"measured_on", "processor", "protocol"}
    numbers = {key for key in DOCUMENTED if key.split(".")[-1] not in texts}
    assert numbers <= numeric_keys()


def test_the_report_is_its_record(finished_once: House) -> None:
    raw = _report(finished_once.student)
    report = Report.model_validate(raw)
    assert report.as_dict() == raw
    assert report.run == finished_once.student.name
    assert report.model_sha256 == sha256(finished_once.student / "model.pt")


def test_the_numbers_fit_together(finished_once: House) -> None:
    report = _report(finished_once.student)
    models, c = report["models"], report["comparison"]
    teacher, student, baseline = models["teacher"], models["student"], models["baseline"]
    assert c["gain"] == pytest.approx(student["accuracy"] - baseline["accuracy"])
    assert c["gain_ci95"]["low"] <= c["gain"] <= c["gain_ci95"]["high"]
    assert c["accuracy_drop"] == pytest.approx(teacher["accuracy"] - student["accuracy"])
    assert c["size_reduction"] == pytest.approx(1 - student["params"] / teacher["params"])
    assert c["macs_reduction"] == pytest.approx(1 - student["macs"] / teacher["macs"])
    ahead = teacher["accuracy"] - baseline["accuracy"]
    assert ahead > 0
    assert c["gap_closed"] == pytest.approx(c["gain"] / ahead)
    score = 0.5 * student["params"] / teacher["params"]
    score += 0.5 * (1 - student["accuracy"] / teacher["accuracy"])
    assert c["distillation_score"] == pytest.approx(score)
    assert c["agreement"] == student["agreement"]
    assert (c["seeds"], c["verdict_code"][:9]) == (1, "one_seed_")
    assert (teacher["agreement"], teacher["kl_to_teacher"]) == (1, 0)
    assert (student["params"], student["macs"]) == (baseline["params"], baseline["macs"])
    for part in models.values():
        assert part["accuracy_ci95"]["low"] <= part["accuracy"] <= part["accuracy_ci95"]["high"]
        assert "seeds" not in part
    for by in ("pytorch", "onnxruntime"):
        slow, fast = teacher["latency_ms"][by]["p50"], student["latency_ms"][by]["p50"]
        assert c["speedup"][by] == pytest.approx(slow / fast)
    data = report["data"]
    assert (data["name"], data["is_default"]) == ("digits", 1)
    assert (data["classes"], data["test_images"]) == (10, 540)
    assert list(data["test_images_by_class"]) == list("0123456789")
    assert sum(data["test_images_by_class"].values()) == 540
    assert 1 <= data["imbalance"] < 1.1
    assert report["verdict"].endswith(f"kd evaluate {finished_once.student} --seeds 3")


def test_what_to_type_next_is_quoted(finished: House) -> None:
    run = finished.student.rename(finished.path / "mein lauf")
    answer = kd_ok("evaluate", run)
    assert f"kd evaluate '{run}' --seeds 3" in answer.out
    assert f"kd evaluate '{run}' --seeds 3" in (run / "report.md").read_text("utf-8")


def test_predictions_reproduce_the_accuracies(finished_once: House) -> None:
    report = _report(finished_once.student)
    with np.load(finished_once.student / "predictions.npz", allow_pickle=False) as kept:
        assert set(kept) == {"format", "ids", "labels", "sums", "teacher", "student", "baseline"}
        assert len(set(kept["ids"])) == 540
        for role, part in report["models"].items():
            assert kept[role].shape == (1, 540, 10)
            right = kept[role][0].argmax(1) == kept["labels"]
            assert part["accuracy"] == pytest.approx(right.mean())


def test_the_classes_fit_together(finished_once: House) -> None:
    report = _report(finished_once.student)
    models, counts = report["models"], report["data"]["test_images_by_class"]
    for part in models.values():
        recall = part["recall"]
        assert list(recall) == list(part["recall_ci95"]) == list(counts)
        assert part["balanced_accuracy"] == pytest.approx(np.mean(list(recall.values())))
        assert part["accuracy"] == pytest.approx(sum(recall[c] * counts[c] for c in counts) / 540)
        assert part["worst_class_recall"] == min(recall.values()) == recall[part["worst_class"]]
        for name, ends in part["recall_ci95"].items():
            assert ends["low"] <= recall[name] <= ends["high"]
    student, teacher = models["student"], models["teacher"]
    drops = {c: teacher["recall"][c] - student["recall"][c] for c in counts}
    lost = report["comparison"]["class_lost_most"]
    assert lost["drop"] == pytest.approx(drops[lost["name"]]) == pytest.approx(max(drops.values()))
    assert lost["test_images"] == counts[lost["name"]]
    assert lost["ci95"]["low"] < lost["drop"] < lost["ci95"]["high"]
    c, baseline = report["comparison"], models["baseline"]
    gain = student["balanced_accuracy"] - baseline["balanced_accuracy"]
    assert c["balanced_gain"] == pytest.approx(gain)
    assert c["balanced_gain_ci95"]["low"] <= gain <= c["balanced_gain_ci95"]["high"]


def test_the_report_is_drawn_for_people(finished_once: House) -> None:
    report = _report(finished_once.student)
    text = (finished_once.student / "report.md").read_text("utf-8")
    assert f"**{report['verdict']}**" in text
    assert "| | teacher | student | baseline |" in text
    assert all(note in text for note in report["notes"])
    assert "model.onnx" in text
    student = report["models"]["student"]
    assert f"{student['worst_class_recall']:.3f} ({student['worst_class']})" in text
    assert "| recall of class | test images | teacher | student | baseline |" in text
    assert "balanced accuracy" not in text, "it only repeats the accuracy where classes are even"


def test_the_baseline_is_the_same_student_without_a_teacher(finished_once: House) -> None:
    student = Run(finished_once.student).file()
    baseline = Run(finished_once.run("baseline-")).file()
    assert not baseline.asked
    assert baseline.spec.teachers == ()
    assert baseline.spec.recipe.methods == {}
    assert baseline.spec.recipe.task.weight == 1.0
    for same in ("model", "data", "seed"):
        assert getattr(baseline.spec, same) == getattr(student.spec, same)
    for same in ("train", "student", "data", "match"):
        assert getattr(baseline.spec.recipe, same) == getattr(student.spec.recipe, same)


def test_evaluating_again_trains_nothing_and_says_the_same(finished: House) -> None:
    kd_ok("evaluate", finished.student)
    before = (_report(finished.student), finished.runs())
    answer = kd_ok("evaluate", finished.student)
    assert (_report(finished.student), finished.runs()) == before
    assert "no baseline yet" not in answer.err
    assert "epoch" not in answer.err


def test_it_prints_a_table_and_a_sentence(small: House) -> None:
    answer = kd_ok("evaluate")
    assert f"no run given, using {small.student / 'model.pt'} (finished" in answer.err
    assert "no baseline yet for seed 0: training it" in answer.err
    assert "this baseline" in answer.out
    assert f"report: {small.student / 'report.html'}" in answer.out
    assert f"next: kd export {small.student}" in answer.out
    assert "next: kd export" not in answer.err


def test_with_json_it_is_the_report(small: House) -> None:
    document = kd_ok("evaluate", "--json").document
    assert document.pop("gates") == []
    run = document.pop("run")
    assert Path(run) == small.student
    assert document == {k: v for k, v in _report(small.student).items() if k != "run"}


def test_a_teacher_measured_alone_is_called_one(small: House) -> None:
    out = kd_ok("evaluate", small.teacher).out
    assert re.search(r"│ teacher +│ +test_resnet │", out)
    assert "student" not in out
    page = (small.teacher / "report.md").read_text("utf-8")
    assert "| | teacher |" in page
    assert "student" not in page


def test_a_model_from_labels_alone(small: House) -> None:
    answer = kd_ok("evaluate", small.teacher, "--json")
    assert answer.document["models"].keys() == {"student"}
    assert answer.document["comparison"] is None
    assert "nothing to compare" in answer.document["verdict"]
    assert 0 < answer.document["models"]["student"]["accuracy"] <= 1
    assert answer.document["models"]["student"]["agreement"] is None


def test_a_lone_model_cannot_be_compared(small: House, tmp_path: Path) -> None:
    shutil.copy(small.student / "model.pt", tmp_path / "alone.pt")
    answer = kd("evaluate", tmp_path / "alone.pt")
    assert answer.code == 2
    assert "--test DATA" in answer.err


def test_an_unfinished_run_cannot_be_compared(small: House) -> None:
    (small.student / "model.pt").unlink()
    answer = kd("evaluate", small.student)
    assert answer.code == 3
    assert "has not finished" in answer.err


def test_changed_pictures_are_noticed(empty_house: House, pictures: Path, tmp_path: Path) -> None:
    data = shutil.copytree(pictures, tmp_path / "data")
    line = [str(data) if word == str(pictures) else word for word in on_pictures(pictures)]
    kd_ok(*line)
    (data / "two" / "07.png").unlink()
    answer = kd("evaluate")
    assert answer.code == 7
    assert str(data) in answer.err
    assert "no longer those" in answer.err
    assert not (empty_house.student / "report.json").exists()


@pytest.mark.parametrize("most_bytes", [2 << 30, 0], ids=["in memory", "on demand"])
def test_an_image_of_a_run_that_cannot_be_read_is_to_come_back(
    most_bytes: int, small: House, pictures: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    source = reopen_data(
        Run(small.student).spec.data.model_copy(update={"location": str(data)}), Silent()
    )
    (data / source.test.ids[0]).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        open_store(source.test, 8, Silent(), most_bytes).fetch(np.arange(1))
    assert source.test.ids[0] in caught.value.what
    assert "take them out" not in caught.value.fix
    assert "bring them back" in caught.value.fix


# Gates -------------------------------------------------------------------------------------------

MET = ("--min", "student.accuracy=0", "--max", "models.student.params=2e6")
MISSED = ("--max", "student.params=1", "--min", "comparison.speedup.onnxruntime=0.1")
"""The second is null: nothing has been exported."""


def test_gates_that_are_met(small: House) -> None:
    answer = kd_ok("evaluate", *MET)
    for key in ("models.student.accuracy", "models.student.params"):
        (line,) = [row for row in answer.out.splitlines() if f" {key} " in row]
        assert "passed" in line
    assert "missed" not in answer.err


def test_gates_that_are_missed(small: House) -> None:
    answer = kd("evaluate", *MET, *MISSED)
    assert answer.code == 8
    params = _report(small.student)["models"]["student"]["params"]
    table = [row.replace("│", "").split() for row in answer.out.splitlines()]
    assert ["min", "models.student.accuracy", "0"] in [row[:3] for row in table]
    assert ["max", "models.student.params", "2e+06", str(params), "-", "passed"] in table
    assert ["max", "models.student.params", "1", str(params), "-", "MISSED"] in table
    assert ["min", "comparison.speedup.onnxruntime", "0.1", "null", "-", "MISSED"] in table
    assert "2 of 4 gates missed" in answer.err
    assert (small.student / "report.json").is_file(), "the report is written all the same"


def test_with_json_gates_and_error_are_in_the_one_document(small: House) -> None:
    answer = kd("evaluate", *MET, *MISSED, "--json")
    assert answer.code == 8
    document = answer.document
    assert document["schema"] == 1
    assert document["error"].keys() == {"code", "what", "fix"}
    assert document["error"]["code"] == 8
    assert document["models"]["student"]["params"] > 1
    params = document["models"]["student"]["params"]
    gates = [(g["gate"], g["limit"], g["value"], g["passed"]) for g in document["gates"]]
    assert len(gates) == 4
    assert ("max models.student.params", 2e6, params, True) in gates
    assert ("max models.student.params", 1, params, False) in gates
    assert ("min comparison.speedup.onnxruntime", 0.1, None, False) in gates
    whys = [g["why"] for g in document["gates"] if g["value"] is None]
    assert whys == ["kd export measures it"]
    (line,) = [row for row in answer.err.splitlines() if "2 of 4 gates missed" in row]
    assert "speedup.onnxruntime is null: kd export measures it; at least 0.1" in line


def test_a_limit_that_is_just_met_is_met(small: House) -> None:
    params = kd_ok("evaluate", "--json").document["models"]["student"]["params"]
    limits = ("--min", f"student.params={params}", "--max", f"student.params={params}")
    kd_ok("evaluate", *limits)


def test_a_class_can_be_a_gate(small: House) -> None:
    recall = kd_ok("evaluate", "--json").document["models"]["student"]["recall"]
    assert recall.keys() == {"one", "two", "zero"}
    side, limit = ("max", 0) if recall["two"] else ("min", 1)
    limits = (
        "--min",
        f"student.recall.two={recall['two']}",
        f"--{side}",
        f"student.recall.two={limit}",
    )
    answer = kd("evaluate", *limits, "--json")
    assert answer.code == 8
    gates = {(g["gate"], g["limit"]): (g["value"], g["passed"]) for g in answer.document["gates"]}
    assert gates["min models.student.recall.two", recall["two"]] == (recall["two"], True)
    assert gates[f"{side} models.student.recall.two", limit] == (recall["two"], False)


def test_a_class_that_is_not_there_is_a_mistake_before_any_training(small: House) -> None:
    for verb in ("evaluate", "export"):
        answer = kd(verb, "--min", "student.recall.tow=0.5")
        assert answer.code == 2
        assert "no class 'tow' in the data; did you mean 'two'?" in answer.err
        assert "one, two, zero" in answer.err
    assert not small.runs("baseline-")
    assert not (small.student / "report.json").exists()


# Uneven classes ----------------------------------------------------------------------------------


def test_uneven_classes_are_told_and_gated(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    """40 : 4 : 40 images; names as people give them."""
    data = tmp_path / "Häuser & Co"
    names = {"zero": "rotes Haus", "one": "Türme v1.2 | alt", "two": "Scheune=leer"}
    for old, new in names.items():
        shutil.copytree(pictures / old, data / new)
    for picture in sorted((data / names["one"]).iterdir())[4:]:
        picture.unlink()
    kd_ok(*(str(data) if word == str(pictures) else word for word in on_pictures(pictures)))
    rare = "student.recall.Türme v1.2 | alt"
    gates = ("--min", f"{rare}=0", "--min", "student.recall.Scheune=leer=0")
    answer = kd_ok("evaluate", *gates, "--details")
    report = _report(empty_house.student)
    assert report["data"]["imbalance"] > 5
    assert all(row in answer.out for row in ("balanced accuracy", "macro F1", "counted alike"))
    (note,) = [note for note in report["notes"] if "largest training class" in note]
    assert "train.balance=sampler" in note
    assert "train.select=balanced_accuracy" in note
    text = (empty_house.student / "report.md").read_text("utf-8")
    assert "| Türme v1.2 \\| alt | 1 |" in text
    alone = kd_ok("evaluate", empty_house.teacher, "--json").document
    assert note in alone["notes"]


# Several seeds -----------------------------------------------------------------------------------


def test_three_seeds_speak_of_distillation(small: House) -> None:
    answer = kd_ok("evaluate", "--seeds", "3", "--json")
    report = answer.document
    assert report["comparison"]["seeds"] == 3
    assert report["comparison"]["verdict_code"] in {"helped", "hurt", "equal", "undecided"}
    for role in ("student", "baseline"):
        part = report["models"][role]
        accuracies = [entry["accuracy"] for entry in part["seeds"]]
        assert [entry["seed"] for entry in part["seeds"]] == [0, 1, 2]
        assert part["accuracy"] == pytest.approx(np.mean(accuracies))
        assert part["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
        assert part["balanced_accuracy"] == pytest.approx(np.mean(list(part["recall"].values())))
    assert "seeds" not in report["models"]["teacher"]
    assert len(small.runs("kd-")) == len(small.runs("baseline-")) == 3
    assert len(small.runs("teacher-")) == 1
    with np.load(small.student_of_seed(0) / "predictions.npz") as kept:
        assert kept["student"].shape == kept["baseline"].shape == (3, 24, 3)
        right = kept["student"].argmax(2) == kept["labels"]
        assert report["models"]["student"]["accuracy"] == pytest.approx(right.mean())


@pytest.mark.slow
def test_further_seeds_were_not_asked_for(small: House) -> None:
    kd_ok("evaluate", "--seeds", "2")
    assert [Run(run).file().asked for run in small.runs("kd-")] == [True, False]
    answer = kd_ok("evaluate")
    assert f"using {small.student_of_seed(0)}" in answer.err


@pytest.mark.slow
def test_two_seeds_do_not_speak_of_distillation(small: House) -> None:
    comparison = kd_ok("evaluate", "--seeds", "2", "--json").document["comparison"]
    assert comparison["verdict_code"] in {"one_seed_better", "one_seed_worse", "one_seed_even"}


def test_no_seeds_is_a_mistake(small: House) -> None:
    assert kd("evaluate", "--seeds", "0").code == 2


def test_the_same_words_for_the_same_models(small: House) -> None:
    """Names of both sides are in the report, whoever was given."""
    models = kd_ok("evaluate", "--json").document["models"]
    assert {role: part["name"] for role, part in models.items()} == {
        "student": STUDENT,
        "teacher": TEACHER,
        "baseline": STUDENT,
    }
