"""`kd distill --recipe fusion`: what its run keeps, and what can be done with the fused model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house import House, kd, kd_ok, same_weights, then_stop, weights_of

from kdcli.core.errors import UnmetNeeds
from kdcli.models.build import plan
from kdcli.models.loading import load
from kdcli.models.model_args import ModelArgs
from kdcli.runs.run import Run
from kdcli.training import learner, loop

FUSION = (
    *("distill", "--student", "test_resnet", "--peer", "test_efficientnet"),
    *("--recipe", "fusion", "--set", "train.epochs=1"),
)


@pytest.mark.slow
def test_the_networks_learn_and_the_fused_model_is_one_like_any_other(
    empty_house: House, pictures: Path
) -> None:
    kd_ok(*FUSION, "--data", pictures)
    run = Run(empty_house.run("fusion-test_resnet_with_test_efficientnet"))
    assert run.outcome()["ships"] == "student"
    others = run.others()
    assert list(others) == ["fused", "peer_1"]
    assert weights_of(run.model).keys() == load(run.model).module.state_dict().keys()
    fused = weights_of(others["fused"])
    for i, file in enumerate((run.model, others["peer_1"])):
        assert all(fused[f"networks.{i}.{key}"].equal(v) for key, v in weights_of(file).items())
    assert load(others["fused"]).file.provenance["role"] == "fused"
    found = kd_ok("inspect", others["fused"]).out
    assert "one answer of 3 classes over test_resnet + test_efficientnet, fused" in found
    kd_ok("export", others["fused"])
    onnx = run.path / "export" / "model.fused.onnx"
    assert "the last maps of test_resnet + test_efficientnet, fused" in kd_ok("inspect", onnx).out
    assert "fusion-test_resnet_with_test_efficientnet" in kd_ok("list", "runs").out


def test_the_fused_model_ships_where_it_is_asked_for(empty_house: House, pictures: Path) -> None:
    kd_ok(*FUSION, "--data", pictures, "--set", "scheme.ships=fused")
    run = Run(empty_house.run("fusion-"))
    assert run.outcome()["ships"] == "fused"
    assert list(run.others()) == ["peer_0", "peer_1"]
    shipped = load(run.model)
    assert shipped.args.words == "test_resnet + test_efficientnet, fused"
    assert load(run.others()["peer_0"]).args == shipped.args.single
    assert "over test_resnet + test_efficientnet, fused" in kd_ok("inspect", run.path).out
    report = kd_ok("evaluate", run.path, "--json").document
    models = report["models"]
    assert models.keys() == {"student", "baseline", "peer_0", "peer_1", "peers"}
    assert models["peers"]["params"] == models["peer_0"]["params"] + models["peer_1"]["params"]
    assert models["peers"]["name"] == "ensemble of 2: test_resnet, test_efficientnet"
    ratio = models["student"]["params"] / models["baseline"]["params"]
    (note,) = [note for note in report["notes"] if note.startswith("the student is ")]
    assert note == (
        "the student is test_resnet + test_efficientnet, fused: "
        f"{ratio:.3g} times the baseline's parameters"
    )
    assert "all networks as one: " in (run.path / "report.md").read_text("utf-8")


@pytest.mark.slow
def test_it_goes_on_bit_for_bit(
    empty_house: House, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*FUSION, "--data", pictures, "--set", "train.epochs=2")
    kd_ok(*command, "--out", tmp_path / "straight")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "keep", then_stop(loop.keep))
        assert kd(*command, "--out", tmp_path / "broken").code == 130
    kd_ok(*command, "--out", tmp_path / "broken")
    straight, broken = Run(tmp_path / "straight"), Run(tmp_path / "broken")
    assert same_weights(straight.model, broken.model)
    for name, file in straight.others().items():
        assert same_weights(file, broken.others()[name])


def test_networks_of_different_sizes_cannot_ship_as_one(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned(name: str, *arguments: Any) -> ModelArgs:
        args = plan(name, *arguments)
        return replace(args, input_size=64) if name == "test_efficientnet" else args

    monkeypatch.setattr(learner, "plan", planned)
    command = (*FUSION, "--data", pictures)
    answer = kd(*command, "--set", "scheme.ships=fused")
    assert answer.code == UnmetNeeds.code
    assert "test_efficientnet 64, test_resnet" in answer.err
    assert not empty_house.runs()
    kd_ok(*command)
    assert list(Run(empty_house.run("fusion-")).others()) == ["peer_1"]
