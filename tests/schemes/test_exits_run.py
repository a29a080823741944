"""`kd distill --recipe exits`: its files, resuming, and the export of another model of a run."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from house import House, kd, kd_ok, living_in, same_weights

from kdcli.core.progress import Silent
from kdcli.evaluation.peers import notes_on_exits
from kdcli.models.loading import load
from kdcli.report.model import ModelPart
from kdcli.runs.locate import locate
from kdcli.runs.run import Run

EXITS = ("exit_1", "exit_2", "exit_3")


@pytest.fixture(scope="module")
def line(pictures: Path) -> tuple[str, ...]:
    who = ("distill", "--student", "test_resnet", "--recipe", "exits")
    return (*who, "--data", str(pictures), "--set", "train.epochs=2")


@pytest.fixture(scope="module")
def with_exits_once(line: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> House:
    with living_in(tmp_path_factory.mktemp("exits") / "runs") as house:
        kd_ok(*line)
        return house


@pytest.fixture
def with_exits(with_exits_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy to work in."""
    return with_exits_once.copy(tmp_path / "runs", monkeypatch)


def the_run(house: House) -> Path:
    return house.run("exits-")


def test_each_exit_is_kept_beside_the_model_that_ships(with_exits: House) -> None:
    run = Run(the_run(with_exits))
    assert tuple(run.others()) == EXITS
    sizes = [path.stat().st_size for path in (*run.others().values(), run.model)]
    assert sizes == sorted(sizes)
    assert load(run.model).args.exit is None
    for i, path in enumerate(run.others().values(), 1):
        kept = load(path)
        assert kept.args.exit == i
        made = kept.file.provenance
        assert (made["role"], made["val_accuracy"]) == ("exit", None)
    assert not run.state.exists()


@pytest.mark.slow
def test_the_same_command_goes_on_after_ctrl_c(
    line: tuple[str, ...], with_exits: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second of two epochs; the exits of the best epoch come out bit by bit."""
    straight = shutil.copytree(the_run(with_exits), tmp_path / "straight")
    shutil.rmtree(the_run(with_exits))
    from kdcli.training import loop

    with monkeypatch.context() as patch:
        keep = loop.keep

        def interrupted(*parts: Any) -> None:
            keep(*parts)
            raise KeyboardInterrupt

        patch.setattr(loop, "keep", interrupted)
        assert kd(*line).code == 130
    run = Run(the_run(with_exits))
    assert [epoch["epoch"] for epoch in run.lines()] == [1]
    assert not run.others()
    kd_ok(*line)
    for name in ("model.pt", *(f"model.{one}.pt" for one in EXITS)):
        assert same_weights(run.path / name, straight / name)


@pytest.mark.slow
def test_an_exit_is_exported_on_the_runs_own_data(with_exits: House) -> None:
    run = the_run(with_exits)
    answer = kd_ok("export", run, "--which", "exit_1", "--json", "--max", "exports.0.bytes=1e7")
    document = answer.document
    (entry,) = document["exports"]
    assert document["file"] == str(run / "export" / "model.exit_1.onnx")
    assert entry["path"] == "export/model.exit_1.onnx"
    assert entry["parity"]["synthetic"] is False
    assert entry["parity"]["images"] == 24
    assert 0 < entry["accuracy"] <= 1
    assert document["gates"][0]["passed"]
    assert not (run / "report.json").exists(), "that is of the model that ships"
    assert (run / "model.exit_1.report.md").is_file()
    written = json.loads((run / "model.exit_1.report.json").read_text("utf-8"))
    assert written["exports"] == document["exports"]
    params = written["models"]["student"]["params"]
    assert params == sum(p.numel() for p in load(run / "model.exit_1.pt").module.parameters())
    assert params < sum(p.numel() for p in load(run / "model.pt").module.parameters()) / 2
    page = (run / "model.exit_1.report.md").read_text("utf-8")
    assert page.splitlines()[2] == "| | exit 1 |"
    assert f"| test accuracy of the file | {entry['accuracy']:.4f} |" in page
    assert written["role"] == "exit_1"
    _agrees(run / "export" / "model.exit_1.onnx", run / "model.exit_1.pt")


def _agrees(file: Path, model: Path) -> None:
    import torch

    images = np.random.default_rng(0).random((7, 3, 32, 32), np.float32)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images})
    with torch.no_grad():
        expected = load(model).module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert "stage 1" in session.get_modelmeta().custom_metadata_map["kd.exit"]


@pytest.mark.slow
def test_its_file_is_another_way_to_say_which(with_exits: House) -> None:
    model = the_run(with_exits) / "model.exit_1.pt"
    kd_ok("export", model, "--min", "exports.0.accuracy=0")
    assert (model.parent / "export" / f"{model.stem}.onnx").is_file()
    found = locate(str(model), Silent())
    assert found.run == Run(model.parent)
    assert found.report == model.with_name("model.exit_1.report.json")
    said = kd_ok("inspect", model).out
    assert "with an early exit of 3 classes, at stage 1" in said
    assert "ResNet, of timm's resnet" in said
    assert f"next: kd export {model}" in said
    assert (
        "model.exit_1.onnx" in kd_ok("inspect", model.parent / "export" / f"{model.stem}.onnx").out
    )


def test_what_a_run_does_not_have_is_refused(with_exits: House, tmp_path: Path) -> None:
    run = the_run(with_exits)
    answer = kd("export", run, "--which", "exit1")
    assert answer.code == 2
    assert "did you mean 'exit_1'?" in answer.err
    assert "it has exit_1, exit_2, exit_3; without --which, what ships" in answer.err
    shutil.copy(run / "model.pt", tmp_path / "model.pt")
    answer = kd("export", tmp_path / "model.pt", "--which", "exit_1")
    assert answer.code == 2
    assert "lies alone" in answer.err


def test_the_report_says_of_which_epoch_exits_are_and_which_is_better(with_exits: House) -> None:
    run = Run(the_run(with_exits))
    parts = {
        role: ModelPart(name=role, params=params, accuracy=accuracy)
        for role, params, accuracy in (("student", 100, 0.9), ("exit_1", 10, 0.9))
    }
    better = ModelPart(name="exit_3", params=44, accuracy=0.91)
    assert len(notes_on_exits(run, parts)) == 1
    epoch, advice = notes_on_exits(run, parts | {"exit_3": better})
    assert "at the best epoch of the deepest" in epoch
    assert advice == (
        "exit 3 is more accurate on test than what ships, at 44% of its parameters: "
        f"kd export {run.path} --which exit_3"
    )
    assert notes_on_exits(run, {"student": better}) == []


def test_an_exit_can_teach(with_exits: House, pictures: Path) -> None:
    model = the_run(with_exits) / "model.exit_3.pt"
    who = ("distill", "--teacher", model, "--student", "test_efficientnet", "--data", pictures)
    kd_ok(*who, "--set", "train.epochs=1", "--set", "teacher.allow_weak=true")
    answer = kd(*who, "--recipe", "fitnet")
    assert answer.code == 2
    assert "an exit of test_resnet" in answer.err
