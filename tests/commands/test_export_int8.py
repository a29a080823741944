"""`kd export --int8 --fp16`: how they are made, what becomes of them, and what is refused."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from house import House, kd, kd_ok

from kdcli.deploy import cost_comparison, quantization
from kdcli.deploy.onnx_file import external
from kdcli.deploy.onnx_file.int8 import calibrate


def hurry(finished_once: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but the student is exported, and Entropy is not tried."""
    ready = finished_once.student / "export" / "model.onnx"
    monkeypatch.setattr(
        cost_comparison, "export_onnx", lambda _, path, **kw: shutil.copy(ready, path)
    )
    monkeypatch.setattr(quantization, "calibrate", _no_entropy)


@pytest.fixture(autouse=True)
def _in_a_hurry(finished_once: House, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(finished_once, monkeypatch)


def _no_entropy(source: Path, batches: Any, calibration: Any) -> Any:
    if calibration == "Entropy":
        raise RuntimeError("too slow for a test\nat line 3")
    return calibrate(source, batches, calibration)


def _exports(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "report.json").read_text("utf-8"))["exports"]
    return found


@pytest.fixture(scope="session")
def both_once(finished_once: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """`kd export --int8 --fp16` of a finished run."""
    path = tmp_path_factory.mktemp("int8") / "runs"
    shutil.copytree(finished_once.path, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_RUNS", str(path))
        hurry(finished_once, patch)
        answer = kd_ok("export", "--int8", "--fp16", "--details")
        (path / "said").write_text(answer.err + answer.out)
    return House(path)


def test_three_files_with_what_they_are(both_once: House) -> None:
    folder = both_once.student / "export"
    assert {f.name for f in folder.iterdir()} >= {
        "model.onnx",
        "model.int8.onnx",
        "model.fp16.onnx",
    }
    sizes = {name: (folder / f"model{name}.onnx").stat().st_size for name in ("", ".int8", ".fp16")}
    assert sizes[".int8"] < 0.6 * sizes[""]
    assert sizes[".fp16"] < 0.6 * sizes[""]
    for name in ("int8", "fp16"):
        session = onnxruntime.InferenceSession(folder / f"model.{name}.onnx")
        metadata = session.get_modelmeta().custom_metadata_map
        assert metadata["kd.precision"] == name
        assert json.loads(metadata["kd.classes"]) == list("0123456789")
        (answer,) = session.run(None, {"images": np.zeros((3, 3, 32, 32), np.float32)})
        assert answer.dtype == np.float32
        assert answer.shape == (3, 10)


def test_entries_of_the_report(both_once: House) -> None:
    fp32, int8, fp16 = _exports(both_once.student)
    assert [one["precision"] for one in (fp32, int8, fp16)] == ["fp32", "int8", "fp16"]
    assert fp32["worth"] is fp32["quantized"] is fp16["quantized"] is None
    assert int8["path"] == "export/model.int8.onnx"
    for one in (int8, fp16):
        worth = one["worth"]
        assert worth["bytes_ratio"] == pytest.approx(fp32["bytes"] / one["bytes"])
        assert worth["accuracy_change"] == pytest.approx(one["accuracy"] - fp32["accuracy"])
        ci = worth["accuracy_change_ci95"]
        assert ci["low"] <= worth["accuracy_change"] <= ci["high"]
        assert worth["speedup"] == pytest.approx(
            fp32["latency_ms"]["p50"] / one["latency_ms"]["p50"]
        )
        assert worth["worth_it"] in (0, 1)
        assert ("not worth it" in worth["reason"]) is not bool(worth["worth_it"])
    assert fp32["parity"]["tolerance"] == 1e-3
    assert int8["parity"]["tolerance"] is None
    assert int8["parity"]["agreement"] >= 0.9
    assert fp16["parity"]["agreement"] >= 0.995
    assert 1e-2 <= fp16["parity"]["tolerance"] < 1


def test_it_was_chosen_on_validation(both_once: House) -> None:
    part = _exports(both_once.student)[1]["quantized"]
    assert (part["target"], part["activations"], part["weights"]) == ("x86", "uint8", "int8")
    assert part["images"] == 256
    assert part["validation_images"] < 540, "not the test images"
    tried = part["tried"]
    worked = [one for one in tried if one["failed"] is None]
    assert {one["calibration"] for one in tried} == {"MinMax", "Percentile", "Entropy"}
    assert all(one["speedup"] > 0 and one["bytes"] > 0 and one["kl"] >= 0 for one in worked)
    assert part["calibration"] in {one["calibration"] for one in worked}
    assert part["accuracy"] in {one["accuracy"] for one in worked}
    lost = part["accuracy_fp32"] - part["accuracy"]
    assert lost <= 0.005 or part["accuracy"] == max(one["accuracy"] for one in worked)
    assert all(one["left_out"] for one in worked[2:]), "two calibrations, and the outer layers"


def test_what_fails_is_said_and_the_others_go_on(both_once: House) -> None:
    said = (both_once.path / "said").read_text()
    assert "int8: Entropy failed: too slow for a test\n" in said
    failed = [one for one in _exports(both_once.student)[1]["quantized"]["tried"] if one["failed"]]
    assert {one["calibration"] for one in failed} == {"Entropy"}
    assert all(one["accuracy"] is None for one in failed)


def test_all_files_are_shown(both_once: House) -> None:
    said = (both_once.path / "said").read_text()
    text = (both_once.student / "report.md").read_text("utf-8")
    for shown in (said, text):
        assert "speed-up" in shown
        assert "int8 for x86: " in shown
        assert shown.count("int8: worth it") + shown.count("int8: not worth it") == 1
    assert "| export/model.int8.onnx | int8 |" in text


@pytest.mark.slow
def test_for_arm_and_gates(finished: House, tmp_path: Path) -> None:
    out = tmp_path / "there"
    line = ("export", finished.student, "--out", out / "small.onnx", "--json")
    gates = ("--min", "exports.2.worth.speedup=1e-6", "--min", "exports.2.worth.worth_it=2")
    answer = kd(*line, "--int8", "--target", "arm", *gates)
    assert answer.code == 8
    checked = {gate["gate"]: gate["passed"] for gate in answer.document["gates"]}
    assert checked == {
        "min exports.2.worth.speedup": True,
        "min exports.2.worth.worth_it": False,
    }
    assert [Path(file).name for file in answer.document["files"]] == [
        "small.onnx",
        "small.int8.onnx",
    ]
    part = answer.document["exports"][-1]["quantized"]
    assert (part["target"], part["activations"], part["reduce_range"]) == ("arm", "int8", 0)


@pytest.mark.slow
def test_a_batch_larger_than_what_it_is_calibrated_on(
    finished: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one batch is filled up, and only images are counted."""
    monkeypatch.setattr(quantization, "CALIBRATED_ON", 5)
    kd_ok("export", finished.student, "--int8", "--batch", "6")
    part = _exports(finished.student)[1]["quantized"]
    assert part["images"] == 5
    assert any(one["failed"] is None for one in part["tried"])


# Exported again ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_made_from_an_earlier_file_goes(
    finished: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and entries, aloud; the file keeps its index, and what lies elsewhere its own."""
    monkeypatch.chdir(tmp_path)
    kd_ok("export", finished.student, "--out", "small.onnx", "--fp16")
    elsewhere = [str(tmp_path / "small.onnx"), str(tmp_path / "small.fp16.onnx")]
    kd_ok("export", finished.student, "--fp16")
    paths = ["export/model.onnx", "export/model.fp16.onnx", *elsewhere]
    assert [one["path"] for one in _exports(finished.student)] == paths
    answer = kd_ok("export", finished.student, "--input", "pixels")
    assert (
        "model.fp16.onnx was made from an earlier model.onnx: removed; add --fp16 to have it again"
        in answer.err
    )
    found = _exports(finished.student)
    assert [one["path"] for one in found] == ["export/model.onnx", *elsewhere]
    assert found[0]["input"] == "pixels"
    folder = finished.student / "export"
    assert [f.name for f in folder.glob("*.onnx")] == ["model.onnx"]
    assert "fp16" not in (folder / "README.md").read_text("utf-8")
    assert all(Path(path).is_file() for path in elsewhere)


def test_somebody_elses_file_of_such_a_name_stays(finished: House, tmp_path: Path) -> None:
    mine = tmp_path / "small.int8.onnx"
    mine.write_text("mine")
    kd_ok("export", finished.student, "--out", tmp_path / "small.onnx")
    assert mine.read_text() == "mine"


def test_interrupted_while_timing_it_leaves_everything_as_it_was(
    finished: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **bounds: Any) -> Any:
        raise KeyboardInterrupt

    def content() -> dict[Path, bytes]:
        files = [file for file in finished.path.rglob("*") if file.is_file()]
        return {f: f.read_bytes() for f in files if f.name not in (".lock", "run.log")}

    monkeypatch.setattr(cost_comparison, "latency", interrupted)
    before = content()
    assert kd("export", finished.student, "--fp16", "--input", "pixels").code == 130
    assert content() == before


# Refused -----------------------------------------------------------------------------------------


def test_a_lone_model_has_nothing_to_calibrate_on(finished_once: House, tmp_path: Path) -> None:
    shutil.copy(finished_once.student / "model.pt", tmp_path)
    answer = kd("export", tmp_path / "model.pt", "--int8")
    assert answer.code == 2
    assert "no run around it" in answer.err
    assert [f.name for f in tmp_path.iterdir()] == ["model.pt"]


def test_a_lone_model_may_be_halved(finished_once: House, tmp_path: Path) -> None:
    shutil.copy(finished_once.student / "model.pt", tmp_path)
    kd_ok("export", tmp_path / "model.pt", "--fp16")
    report = json.loads((tmp_path / "model.report.json").read_text("utf-8"))
    worth = report["exports"][1]["worth"]
    assert (worth["accuracy_change"], worth["worth_it"]) == (None, 0)
    assert "no test images" in worth["reason"]


def test_data_that_are_gone(distilled: House) -> None:
    place = distilled.student / "run.yaml"
    raw = yaml.safe_load(place.read_text("utf-8"))
    raw["spec"]["data"]["location"] = "/somewhere/else"
    place.write_text(yaml.safe_dump(raw), "utf-8")
    answer = kd("export", distilled.student, "--int8")
    assert answer.code == 3
    assert "/somewhere/else" in answer.err
    assert not (distilled.student / "export").exists()


def test_more_than_two_gigabytes(finished_once: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered below a digits student."""
    monkeypatch.setattr(external, "LIMIT", 2000)
    out = finished_once.path / "none.onnx"
    for flag in ("--int8", "--fp16"):
        answer = kd(
            "export", finished_once.student, flag, "--out", finished_once.path / "none.onnx"
        )
        assert answer.code == 2
        assert "int8 and fp16 of models above 2 GB are not made" in answer.err
        assert not out.exists()


def test_a_target_is_that_of_int8(finished_once: House) -> None:
    answer = kd("export", finished_once.student, "--target", "arm")
    assert answer.code == 2
    assert "add --int8" in answer.err


# Broken ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_file_that_answers_something_else_is_removed(
    distilled: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files or none: the fp32 one goes, too."""
    quantized = quantization.quantize

    def upside_down(source: Path, *args: Any, **options: Any) -> Any:
        proto = quantized(source, *args, **options)
        (last,) = [node for node in proto.graph.node if "logits" in node.output]
        last.output[:] = ["right"]
        proto.graph.node.append(onnx.helper.make_node("Neg", ["right"], ["logits"]))
        return proto

    monkeypatch.setattr(quantization, "quantize", upside_down)
    before = {f.name for f in distilled.student.iterdir()}
    answer = kd("export", distilled.student, "--int8")
    assert answer.code == 8
    assert "the int8 ONNX file disagrees with PyTorch" in answer.err
    assert "was removed" in answer.err
    assert {f.name for f in distilled.student.iterdir()} - before <= {".lock"}


@pytest.mark.parametrize(
    ("error", "code"), [(OSError(errno.ENOSPC, "No space left on device"), 6), (MemoryError(), 5)]
)
@pytest.mark.parametrize("step", ["preprocess", "calibrate"])
def test_a_full_disk_or_memory_is_no_matter_of_one_candidate(
    step: str, error: Exception, code: int, distilled: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(quantization, step, full)
    answer = kd("export", distilled.student, "--int8")
    assert answer.code == code, answer.err
    assert not (distilled.student / "export").exists()


def test_nothing_that_can_be_quantised(distilled: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("not this model")

    monkeypatch.setattr(quantization, "calibrate", broken)
    answer = kd("export", distilled.student, "--int8")
    assert answer.code == 8
    assert "no int8 file could be made: not this model" in answer.err
    assert not (distilled.student / "export").exists()
