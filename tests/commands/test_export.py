"""`kd export`: the file, its parity with PyTorch, its costs, and what it leaves alone."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from house import STUDENT, TEACHER, House, kd, kd_ok

from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.data.loader import plain_batches
from kdcli.data.open import open_source
from kdcli.data.store import open_store
from kdcli.deploy import cost_comparison, onnx_files
from kdcli.models.checkpoint import load_model, save_model


def read_metadata(path: Path) -> dict[str, str]:
    """As whoever uses the file would read them."""
    found: dict[str, str] = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    return found


def _report(folder: Path, name: str = "report.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    return found


@pytest.fixture(scope="session")
def test_images() -> np.ndarray:
    """All test images of digits, RGB in [0, 1]."""
    store = open_store(open_source("digits").test, 32, Silent())
    return torch.cat([b.images for b in plain_batches(store, num_classes=10)]).numpy()


@pytest.fixture
def quick_export(finished_once: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is exported, the student's file is written.

    The student's own export agrees with it; teacher and baseline are not compared.
    """
    ready = finished_once.student / "export" / "model.onnx"

    def write(module: torch.nn.Module, path: Path, **options: Any) -> None:
        shutil.copy(ready, path)

    monkeypatch.setattr(onnx_files, "export_onnx", write)
    monkeypatch.setattr(cost_comparison, "export_onnx", write)


# The file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7, 540])
def test_the_file_answers_as_pytorch_does(
    batch: int, finished_once: House, test_images: np.ndarray
) -> None:
    """Fed by what its own metadata say; PyTorch's answers are those that evaluate kept."""
    path = finished_once.student / "export" / "model.onnx"
    metadata = read_metadata(path)
    mean, std = (
        np.array(json.loads(metadata[f"kd.{key}"]), np.float32)[:, None, None]
        for key in ("mean", "std")
    )
    ready = ((test_images - mean) / std).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answers = np.concatenate(
        [
            session.run(["logits"], {"images": ready[i : i + batch]})[0]
            for i in range(0, len(ready), batch)
        ]
    )
    with np.load(finished_once.student / "predictions.npz") as kept:
        expected, labels = kept["student"][0], kept["labels"]
    np.testing.assert_allclose(answers, expected, atol=1e-3)
    assert (answers.argmax(1) == expected.argmax(1)).all()
    assert _report(finished_once.student)["exports"][0]["accuracy"] == pytest.approx(
        (answers.argmax(1) == labels).mean()
    )


def test_the_file_says_what_it_is(finished_once: House) -> None:
    metadata = read_metadata(finished_once.student / "export" / "model.onnx")
    assert json.loads(metadata["kd.classes"]) == list("0123456789")
    assert metadata["kd.model"] == STUDENT
    assert metadata["kd.input_size"] == "32"
    assert len(json.loads(metadata["kd.mean"])) == len(json.loads(metadata["kd.std"])) == 3
    assert metadata["kd.data"] == "digits"


def test_it_is_one_file(finished_once: House) -> None:
    onnx_files = sorted(f.name for f in finished_once.path.rglob("*.onnx*"))
    assert onnx_files == ["model.onnx"], "those of teacher and baseline are temporary"
    assert not list(finished_once.path.rglob(".*.tmp"))


# The report --------------------------------------------------------------------------------------


def test_the_export_is_in_the_report(finished_once: House) -> None:
    path = finished_once.student / "export" / "model.onnx"
    (entry,) = _report(finished_once.student)["exports"]
    assert entry["path"] == "export/model.onnx"
    assert entry["sha256"] == sha256(path)
    assert entry["bytes"] == path.stat().st_size
    assert (entry["input"], entry["precision"]) == ("tensor", "fp32")
    assert entry["opset"] >= 17
    parity = entry["parity"]
    assert parity["max_abs"] <= 1e-3
    assert (parity["top1_changed"], parity["images"], parity["synthetic"]) == (0, 540, False)
    assert 0 < entry["latency_ms"]["p50"] <= entry["latency_ms"]["p90"]


def test_every_role_has_its_costs(finished_once: House) -> None:
    report = _report(finished_once.student)
    models = report["models"]
    for part in models.values():
        for by in ("pytorch", "onnxruntime"):
            assert 0 < part["latency_ms"][by]["p50"] <= part["latency_ms"][by]["p90"]
        assert part["file_bytes"] > 4 * part["params"]
    assert models["student"]["file_bytes"] == report["exports"][0]["bytes"]
    assert models["teacher"]["file_bytes"] > models["student"]["file_bytes"]
    assert "thread" in report["measured_on"]
    assert report["processor"] in report["measured_on"]
    assert (report["threads"], report["protocol"]) == (1, "quick")
    assert 0 <= report["noise"] < 9
    assert 0 <= report["noise_pytorch"] < 9
    timed = models["student"]["latency_ms"]
    assert timed["onnxruntime"]["runs"] >= 30
    assert timed["onnxruntime"]["cold"] > 0
    assert timed["pytorch"]["cold"] is None, "the module has answered before"


def test_evaluating_afterwards_keeps_the_exports(finished: House) -> None:
    before = _report(finished.student)
    kd_ok("evaluate", finished.student)
    after = _report(finished.student)
    assert after["exports"] == before["exports"]
    assert after["models"] == before["models"]
    assert after["comparison"]["speedup"] == before["comparison"]["speedup"]


@pytest.mark.slow
def test_export_before_evaluate(distilled: House, quick_export: None) -> None:
    answer = kd_ok("export", distilled.student, "--json")
    report = answer.document
    assert report["comparison"] is None
    assert report["models"].keys() == {"student", "teacher"}
    assert report["models"]["student"]["accuracy"] is None, "evaluate measures, export does not"
    assert report["file"] == str(distilled.student / "export" / "model.onnx")
    kd_ok("evaluate", distilled.student)
    after = _report(distilled.student)
    assert after["exports"] == report["exports"]
    for role, part in report["models"].items():
        assert after["models"][role]["latency_ms"] == part["latency_ms"]
    assert after["comparison"]["speedup"]["onnxruntime"] > 0


def test_exports_of_another_model_go(small: House) -> None:
    """A report speaks of one model.pt; --again made another."""
    (small.teacher / "report.json").write_text(
        json.dumps(
            {"schema": 1, "run": small.teacher.name, "model_sha256": "0" * 64, "exports": []}
        )
    )
    kd_ok("evaluate", small.teacher)
    assert _report(small.teacher)["exports"] is None


def test_the_gates_that_it_suggests_are_met(finished: House, quick_export: None) -> None:
    (said,) = [
        line for line in kd_ok("export").out.splitlines() if line.startswith("next: kd evaluate")
    ]
    assert said.count("--min") == 2
    kd_ok(*shlex.split(said)[2:])


def test_gates_may_hold_the_file(distilled: House, quick_export: None) -> None:
    line = ("export", distilled.student, "--json", "--max", "exports.0.bytes=1000")
    answer = kd(*line, "--min", "exports.0.accuracy=0")
    assert answer.code == 8
    gates = {gate["gate"]: gate["passed"] for gate in answer.document["gates"]}
    assert gates == {"max exports.0.bytes": False, "min exports.0.accuracy": True}
    assert answer.document["error"]["code"] == 8
    assert (distilled.student / "export" / "model.onnx").is_file()


# What is exported --------------------------------------------------------------------------------


def test_after_distill_in_an_empty_folder(
    distilled: House, monkeypatch: pytest.MonkeyPatch, quick_export: None
) -> None:
    """The newest run that was asked for, though a baseline is newer; said aloud."""
    kd_ok("evaluate")
    monkeypatch.delenv("KD_RUNS")
    monkeypatch.chdir(distilled.path.parent)
    answer = kd_ok("export", "model.pt")
    there = Path("runs") / distilled.student.name
    assert f"model.pt: none here, using {there / 'model.pt'} (finished" in answer.err
    assert f"ONNX: {there / 'export' / 'model.onnx'}" in answer.out
    assert (distilled.student / "export" / "model.onnx").is_file()


def test_a_lone_model(distilled: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is here is what is meant, runs or no runs; and nothing is invented."""
    here = tmp_path / "carried away"
    here.mkdir()
    shutil.copy(distilled.student / "model.pt", here)
    monkeypatch.chdir(here)
    answer = kd_ok("export", "model.pt")
    assert "compared on 32 made-up images; accuracy stays empty" in answer.err
    assert "32 made-up images" in answer.out
    assert not (distilled.student / "export" / "model.onnx").exists()
    report = _report(here, "model.report.json")
    assert report["models"].keys() == {"student"}
    assert report["models"]["student"]["accuracy"] is None
    assert report["comparison"] is None
    assert report["data"] is None
    (entry,) = report["exports"]
    assert entry["path"] == "model-export/model.onnx"
    assert entry["accuracy"] is None
    assert entry["parity"]["synthetic"] is True
    assert entry["parity"]["images"] == 32
    assert entry["sha256"] == sha256(here / "model-export" / "model.onnx")


def test_out_names_the_file(distilled: House, tmp_path: Path, quick_export: None) -> None:
    """An entry for every file; written again, it has one entry still."""
    there = tmp_path / "there" / "small.onnx"
    answer = kd_ok("export", distilled.student)
    assert f"exporting {STUDENT} to {distilled.student / 'export' / 'model.onnx'}" in answer.err
    assert f"exporting teacher {TEACHER} for comparison" in answer.err
    assert re.search(r"│ fp32 +│ +\w+ │ +0\.\d{4} │", answer.out)
    for _ in range(2):
        kd_ok("export", distilled.student, "--out", there)
    exports = _report(distilled.student)["exports"]
    assert [entry["path"] for entry in exports] == ["export/model.onnx", str(there)]
    assert there.is_file()


@pytest.mark.parametrize("more", [(), ("--model", "resnet18")])
@pytest.mark.parametrize("verb", ["export", "evaluate"])
def test_an_onnx_file_is_called_what_it_is(
    verb: str, more: tuple[str, ...], finished_once: House
) -> None:
    path = finished_once.student / "export" / "model.onnx"
    answer = kd(verb, path, *(more if verb == "export" else ()))
    assert answer.code == 2
    assert f"{path}: is an ONNX file already" in answer.err
    assert f"kd inspect {path}" in answer.err


def test_a_damaged_model(distilled: House) -> None:
    model = distilled.student / "model.pt"
    model.write_bytes(model.read_bytes()[:-1000])
    answer = kd("export", distilled.student)
    assert answer.code == 7
    assert str(model) in answer.err
    assert not (distilled.student / "export" / "model.onnx").exists()


# Several heads ----------------------------------------------------------------------------------


@pytest.fixture
def in_no_time(finished_once: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The student is really exported; nobody else is."""
    ready = finished_once.student / "export" / "model.onnx"
    monkeypatch.setattr(
        cost_comparison, "export_onnx", lambda _, path, **kw: shutil.copy(ready, path)
    )


def give_heads(model: Path, *changes: Any) -> None:
    """The classifier of a model.pt once per change, the first head weighing 0.6."""
    file = load_model(model)
    args = file.model | {"heads": len(changes), "weights": (0.6, 0.4)}
    last = {
        key: torch.cat([change(value) for change in changes])
        for key, value in file.state_dict.items()
        if key.startswith("classifier.")
    }
    assert len(last) == 2
    save_model(replace(file, model=args, state_dict=file.state_dict | last), model)


def louder_and_wrong(rows: torch.Tensor) -> torch.Tensor:
    """Always sure of the next class: it rules the mean of logits, not that of probabilities."""
    return 50 * rows.roll(1, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("in_no_time")
def test_heads_that_agree_are_folded(finished: House) -> None:
    plain = _report(finished.student)
    give_heads(finished.student / "model.pt", lambda rows: 1.1 * rows, lambda rows: 0.9 * rows)
    answer = kd_ok("export", finished.student, "--max", "exports.0.fold.drop=0.001")
    assert "2 heads folded into one: no more than 0.1 points lost on " in answer.out
    report = _report(finished.student)
    (entry,) = report["exports"]
    fold = entry["fold"]
    assert (fold["wanted"], fold["heads"], fold["folded"]) == ("auto", 2, 1)
    assert fold["drop"] == fold["accuracy_exact"] - fold["accuracy_folded"] <= 0.001
    assert fold["agreement"] > 0.99
    assert 0 < fold["kl"] < 0.1
    assert all(0 <= fold[f"ece_{kind}"] < 1 for kind in ("exact", "folded"))
    assert (entry["parity"]["top1_changed"], entry["parity"]["synthetic"]) == (0, False)
    assert report["models"]["student"]["params"] == plain["models"]["student"]["params"]
    assert (
        read_metadata(finished.student / "export" / "model.onnx")["kd.fold"]
        == "2 heads folded into one"
    )
    assert "2 heads folded into one" in (finished.student / "report.md").read_text("utf-8")


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.slow
def test_heads_that_do_not_agree_are_kept(distilled: House) -> None:
    give_heads(distilled.student / "model.pt", lambda rows: 5 * rows, louder_and_wrong)
    report = kd_ok("export", distilled.student, "--json").document
    (entry,) = report["exports"]
    assert entry["fold"]["folded"] == 0
    assert entry["fold"]["drop"] > 0.5, "folding listens to the louder head"
    assert re.match(
        r"more than 0\.1 points lost on \d+ validation images, \d+ answers changed",
        entry["fold"]["reason"],
    )
    answer = onnxruntime.InferenceSession(distilled.student / "export" / "model.onnx").run(
        None, {"images": np.zeros((7, 3, 32, 32), np.float32)}
    )[0]
    assert answer.shape == (7, 10)
    np.testing.assert_allclose(np.exp(answer).sum(1), 1, atol=1e-6)
    said = read_metadata(distilled.student / "export" / "model.onnx")["kd.fold"]
    assert said == "2 heads as one, the mean of their probabilities"
    assert (
        "2 heads of 10 classes, mean of their probabilities"
        in kd_ok("inspect", distilled.student).out
    )


# A file that disagrees: what is written for the teacher is the student ---------------------------


@pytest.mark.usefixtures("quick_export")
def test_a_file_that_disagrees_is_removed(distilled: House) -> None:
    answer = kd("export", distilled.teacher, "--json")
    assert answer.code == 8
    assert answer.document["error"]["code"] == 8
    assert "disagrees with PyTorch" in answer.document["error"]["what"]
    assert {f.name for f in distilled.teacher.iterdir()} - {".lock"} == {
        "run.yaml",
        "model.pt",
        "metrics.jsonl",
        "run.log",
    }


@pytest.mark.usefixtures("quick_export")
def test_an_older_file_is_kept(distilled: House) -> None:
    older = distilled.teacher / "export" / "model.onnx"
    older.parent.mkdir()
    older.write_bytes(b"an older one")
    answer = kd("export", distilled.teacher)
    assert answer.code == 8
    assert "was removed" in answer.err
    assert older.read_bytes() == b"an older one"


def test_a_run_without_its_data_exports_too(small: House, quick_export: None) -> None:
    """The images are on another machine: nothing is invented."""
    place = small.student / "run.yaml"
    raw = yaml.safe_load(place.read_text("utf-8"))
    raw["spec"]["data"]["location"] = "/somewhere/else"
    place.write_text(yaml.safe_dump(raw), "utf-8")
    assert kd("evaluate", small.student).code == 3
    shutil.copy(small.student / "model.pt", small.student / "kept.pt")
    answer = kd("export", small.student)
    assert "no data for" in answer.err
    assert "made-up images" in answer.err


def test_lone_models_in_one_folder_do_not_meet(
    distilled: House, quick_export: None, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copy(distilled.student / "model.pt", tmp_path / f"{name}.pt")
    (tmp_path / "report.md").write_text("mine")
    kd_ok("export", tmp_path / "a.pt")
    kd_ok("export", tmp_path / "b.pt")
    assert {"a-export", "b-export", "a.report.json", "b.report.json"} <= {
        entry.name for entry in tmp_path.iterdir()
    }
    assert (tmp_path / "report.md").read_text() == "mine"
