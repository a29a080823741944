"""`kd inspect`: names, runs, files, and what temperature does to answers."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from house import STUDENT, TEACHER, House, kd, kd_ok, save_untrained

from kdcli.core.files import sha256
from kdcli.deploy.onnx_file.read import describe
from kdcli.evaluation.temperature import recipe_temperature
from kdcli.models.loading import load


def _document(*line: str | Path) -> dict[str, Any]:
    return kd_ok("inspect", *line, "--json").document


# Names -------------------------------------------------------------------------------------------


def test_a_name_has_costs_weights_and_a_licence() -> None:
    document = _document("resnet101")
    module, weights = document["module"], document["card"]["weights"]
    assert document["kind"] == "model"
    assert module["params"] == 44_549_160
    assert module["macs"] == pytest.approx(7.80e9, rel=0.01)
    assert module["flops"] == 2 * module["macs"]
    assert module["class"] == "ResNet"
    assert (weights["licence"], weights["licence_warning"]) == ("apache-2.0", None)
    assert weights["hub"].startswith("timm/resnet101.")
    assert document["temperature"] is None


def test_a_name_in_words() -> None:
    answer = kd_ok("inspect", "resnet101")
    for words in ("44.5M (44,549,160)", "7.80G = 15.6G FLOPs", "1,000 classes of ImageNet-1k"):
        assert words in answer.out
    assert "apache-2.0" in answer.out
    assert "warning" not in answer.err
    assert "next: kd distill --teacher resnet101 --student mobilenetv3 --data DIR" in answer.out


def test_a_family_is_narrowed_down_aloud() -> None:
    answer = kd_ok("inspect", "mobilenetv3")
    assert "mobilenetv3 -> mobilenetv3_small_100" in answer.err
    assert "2.54M" in answer.out
    assert "--student mobilenetv3_small_100" in answer.out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("convnextv2_atto", "forbids commercial use"),
        ("cpubone_nano", "is not known"),
        ("mobileone_s0", "conditions of its own"),
    ],
)
def test_licences_that_matter_are_warned_about(name: str, words: str) -> None:
    answer = kd_ok("inspect", name)
    assert f"warning: {name}" in answer.err or f"of {name}'s" in answer.err
    assert words in answer.err
    assert words in _document(name)["card"]["weights"]["licence_warning"]


def test_a_name_without_weights() -> None:
    assert "timm has none" in kd_ok("inspect", "lcnet_035").out
    assert _document("lcnet_035")["card"]["weights"] is None


# Runs and files ----------------------------------------------------------------------------------


def test_a_run_tells_its_history(finished_once: House) -> None:
    run = finished_once.student
    document = _document(run)
    assert document["kind"] == "run"
    assert document["module"]["args"]["name"] == STUDENT
    assert document["classes"] == list("0123456789")
    assert document["recipe_name"] == "kd"
    assert document["recipe"]["methods"]["kd"]["temperature"] == 4
    assert document["provenance"]["teachers"] == [TEACHER]
    assert document["training"]["epochs"] == 2
    assert Path(document["needs"]["teacher.0"]).resolve() == finished_once.teacher / "model.pt"
    assert document["file_bytes"] == (run / "model.pt").stat().st_size
    assert document["began_pretrained"] is False
    assert document["report"]["exports"][0]["parity"]["top1_changed"] == 0


def test_a_run_in_words(finished_once: House) -> None:
    out = kd_ok("inspect", finished_once.student).out
    for words in (
        "10: 0, 1, 2, 3",
        "kd: scheme offline; task 0.1, kd (weight 0.9, temperature 4, ",
        "epochs 2 at most, batch 32, adamw",
        "random weights",
        "test accuracy",
        "top-1 changed on 0 of 540 test images",
        "next: kd export",
    ):
        assert words in out


def test_a_teachers_run_leads_to_a_student(finished_once: House) -> None:
    out = kd_ok("inspect", finished_once.teacher).out
    assert f"next: kd distill --teacher {finished_once.teacher} --student" in out


def test_a_lone_file_says_how_to_see_more(tmp_path: Path) -> None:
    file = save_untrained(tmp_path / "mein schönes modell.pt", ("cat", "dog"))
    answer = kd_ok("inspect", file)
    assert "give --data" in answer.err
    assert "2: cat, dog" in answer.out
    assert "validation images" not in answer.out
    document = _document(file)
    assert document["kind"] == "file"
    assert document["classes"] == ["cat", "dog"]
    assert document["temperature"] is None


def test_a_model_that_began_from_timms_weights_names_their_licence(
    tmp_path: Path,
) -> None:
    file = save_untrained(tmp_path / "model.pt", ("cat", "dog"))
    raw = torch.load(file, weights_only=True)
    raw["recipe"] = {"student": {"pretrained": True}}
    licence = {"what": f"{TEACHER}.r160_in1k", "licence": "apache-2.0", "permissive": 1}
    began = licence | {"role": "student", "note": "is permissive"}
    raw["provenance"] = {"data": "pets", "seed": 0, "licences": [began]}
    torch.save(raw, file)
    answer = kd_ok("inspect", file)
    assert "r160_in1k weights" in answer.out
    assert f"student {TEACHER}.r160_in1k: apache-2.0, is permissive" in answer.out


def test_an_onnx_file_of_kd(finished_once: House) -> None:
    file = finished_once.student / "export" / "model.onnx"
    document = _document(file)
    assert document["kind"] == "onnx"
    assert document["sha256"] == sha256(file)
    assert document["inputs"] == [
        {"name": "images", "dtype": "float32", "shape": ["batch", 3, 32, 32]}
    ]
    assert document["outputs"][0]["shape"] == ["batch", 10]
    assert json.loads(document["metadata"]["kd.classes"]) == list("0123456789")
    assert document["opset"] == describe(file).opset
    out = kd_ok("inspect", file).out
    assert "0 of 540 test images" in out
    assert "kd.model" in out


def test_an_onnx_file_that_changed_has_no_report(finished: House) -> None:
    import onnx

    file = finished.student / "export" / "model.onnx"
    proto = onnx.load(file)
    del proto.metadata_props[:]
    onnx.save(proto, file)
    out = kd_ok("inspect", file).out
    assert "not written by kd" in out
    assert "test images" not in out


def test_a_damaged_report_hides_nothing_else(finished: House) -> None:
    (finished.student / "report.json").write_text("{")
    answer = kd_ok("inspect", finished.student)
    assert "not a report of this kd" in answer.err
    assert "validation images" in answer.out


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thing", "code", "words"),
    [
        ("resnett101", 2, "did you mean 'resnet101'?"),
        ("resnett101", 2, "or give a run folder"),
        ("resnet101.nope", 2, "it has a1_in1k"),
        ("nowhere.pt", 2, "no such file"),
        ("nowhere.onnx", 2, "no such file"),
        ("runs/nowhere", 2, "no such file or folder"),
        (".", 2, "not a run folder"),
        (__file__, 2, "a text, no model"),
    ],
)
def test_mistakes(thing: str, code: int, words: str, empty_house: House) -> None:
    answer = kd("inspect", thing)
    assert answer.code == code, answer.err
    assert words in answer.err
    assert answer.out == ""


def test_foreign_files_are_told_in_words(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "plain.pth")
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x0a\x12\x07")
    assert "none that kd wrote" in kd("inspect", tmp_path / "plain.pth").err
    answer = kd("inspect", tmp_path / "cut.onnx")
    assert answer.code == 7
    assert "cut.onnx" in answer.err


@pytest.mark.parametrize("name", ["run.yaml", "report.json", "metrics.jsonl", "predictions.npz"])
def test_a_file_of_a_run_leads_to_its_folder(name: str, finished_once: House) -> None:
    answer = kd("inspect", finished_once.student / name)
    assert answer.code == 2
    assert f"kd inspect {finished_once.student}" in answer.err
    assert "remove" not in answer.err


def test_an_onnx_file_is_asked_nothing(finished_once: House) -> None:
    answer = kd("inspect", finished_once.student / "export" / "model.onnx", "--data", "digits")
    assert answer.code == 2
    assert "kd does not ask an ONNX file" in answer.err


def test_data_for_what_answers_nothing(empty_house: House) -> None:
    answer = kd("inspect", "resnet18", "--data", "digits")
    assert answer.code == 2
    assert "give a run folder or a model.pt" in answer.err
    assert answer.out == ""


def test_data_of_other_classes(tmp_path: Path) -> None:
    answer = kd(
        "inspect", save_untrained(tmp_path / "model.pt", ("cat", "dog")), "--data", "digits"
    )
    assert answer.code == 3
    assert "it knows 2 classes, the data have 10" in answer.err
    assert "teacher" not in answer.err


# Temperature -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def softened(finished_once: House) -> dict[str, Any]:
    """What is said of the student on digits."""
    found: dict[str, Any] = _document(finished_once.student)["temperature"]
    return found


def test_heat_softens_the_mean_answer(softened: dict[str, Any]) -> None:
    levels = softened["levels"]
    assert [level["temperature"] for level in levels] == [0.5, 1, 2, 4, 8]
    entropies = [level["entropy"] for level in levels]
    assert entropies == sorted(entropies)
    assert all(len(level["top"]) == 5 for level in levels)
    for level in levels:
        assert level["top"] == sorted(level["top"], reverse=True)
        assert level["entropy_share"] == pytest.approx(level["entropy"] / math.log(10))
        assert level["contrast"] == pytest.approx(level["top"][0] - level["top"][1])
    assert softened["images"] == 180


def test_images_are_shown_with_their_answers(softened: dict[str, Any]) -> None:
    assert [image["why"] for image in softened["shown"]] == ["sure", "sure", "unsure", "wrong"]
    first, second, unsure, wrong = softened["shown"]
    assert first["label"] == first["classes"][0]
    assert first["label"] != second["label"]
    assert unsure["label"] == unsure["classes"][0]
    assert wrong["label"] != wrong["classes"][0]
    assert first["levels"][1]["contrast"] > unsure["levels"][1]["contrast"]
    for image in softened["shown"]:
        for level in image["levels"]:
            assert level["top"] == sorted(level["top"], reverse=True)


def test_classes_that_are_alike(softened: dict[str, Any]) -> None:
    alike = softened["alike"]
    matrix = np.array(alike["mean_soft_targets"])
    assert alike["temperature"] == 4
    assert matrix.shape == (10, 10)
    assert matrix.sum(axis=1) == pytest.approx(1)
    nearest = alike["classes"]["3"][0]
    row = matrix[3].copy()
    row[3] = 0
    assert nearest == {"class": str(row.argmax()), "mean": pytest.approx(row.max())}
    assert len(alike["classes"]["3"]) == 3


def test_it_says_what_the_model_answers(finished_once: House, softened: dict[str, Any]) -> None:
    """The numbers are those of predictions on validation, not of something else."""
    from kdcli.core.progress import Silent
    from kdcli.data.loader import plain_batches
    from kdcli.data.reopen import reopen_data
    from kdcli.data.store import open_store
    from kdcli.models.tap import Tap, predict
    from kdcli.runs.run import Run

    run = Run(finished_once.student)
    loaded = load(run.model)
    store = open_store(reopen_data(run.spec.data, Silent()).validation, 32, Silent())
    tap = Tap(loaded.module, loaded.args, "")
    logits = torch.from_numpy(
        predict(tap, plain_batches(store, num_classes=10), torch.device("cpu"))
    )
    warm = (logits.double() / 2).softmax(1)
    assert softened["levels"][2]["top"][0] == pytest.approx(float(warm.max(1).values.mean()))
    assert softened["accuracy"] == run.outcome()["val_accuracy"]


def test_a_lone_file_with_data(
    finished_once: House, softened: dict[str, Any], tmp_path: Path
) -> None:
    file = shutil.copy(finished_once.student / "model.pt", tmp_path / "alone.pt")
    assert _document(file, "--data", "digits")["temperature"] == softened


def test_temperature_in_words(finished_once: House) -> None:
    out = kd_ok("inspect", finished_once.student).out
    for words in (
        "180 validation images of digits softened by temperature T",
        "sure and right",
        "right but unsure",
        "taken for",
        "entropy",
        "of log K",
        "contrast",
        "classes held to be alike",
        "at T = 4",
    ):
        assert words in out
    softened = out[out.index("180 validation images") : out.index("next:")]
    assert max(len(line) for line in softened.splitlines()) <= 100


def test_data_that_are_gone_are_no_obstacle(small: House, pictures: Path, tmp_path: Path) -> None:
    import yaml

    file = small.student / "run.yaml"
    raw = yaml.safe_load(file.read_text("utf-8"))
    raw["spec"]["data"]["location"] = str(tmp_path / "gone")
    file.write_text(yaml.safe_dump(raw), "utf-8")
    answer = kd_ok("inspect", small.student)
    assert "gone, so no answers are softened" in answer.err
    assert "validation accuracy" in answer.out
    again = kd_ok("inspect", small.student, "--data", str(pictures), "--json").document
    assert again["temperature"]["images"] > 0


def test_data_that_changed_are_said(small: House, pictures: Path, tmp_path: Path) -> None:
    import yaml

    changed = tmp_path / "changed"
    shutil.copytree(pictures, changed)
    shutil.rmtree(changed / "two")
    file = small.student / "run.yaml"
    raw = yaml.safe_load(file.read_text("utf-8"))
    raw["spec"]["data"]["location"] = str(changed)
    file.write_text(yaml.safe_dump(raw), "utf-8")
    answer = kd_ok("inspect", small.student)
    assert "no answers are softened" in answer.err
    assert "validation images" not in answer.out


@pytest.mark.parametrize(
    ("recipe", "temperature"),
    [
        ({}, 4),
        ({"methods": {}}, 4),
        ({"methods": {"kd": {"weight": 0.9, "temperature": 8}}}, 8),
        ({"methods": {"at": {"weight": 1}, "hot": {"use": "kd", "temperature": 2.5}}}, 2.5),
        ({"methods": {"kd": {"temperature": "hot"}}}, 4),
    ],
)
def test_the_temperature_is_the_recipes_own(recipe: dict[str, Any], temperature: float) -> None:
    assert recipe_temperature(recipe) == temperature
