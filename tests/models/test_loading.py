"""A model.pt is rebuilt from what it names, and from nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.models.build import build
from kdcli.models.checkpoint import ModelFile, save_model
from kdcli.models.loading import load
from kdcli.models.model_args import ModelArgs, check_options

ARGS = ModelArgs("test_efficientnet", num_classes=3, input_size=32)


def saved(args: ModelArgs, path: Path) -> Path:
    file = ModelFile(args.as_dict(), build(ARGS).state_dict(), ("a", "b", "c"), {})
    save_model(file, path)
    return path


def test_a_round_trip(tmp_path: Path) -> None:
    loaded = load(saved(ARGS, tmp_path / "model.pt"))
    assert loaded.args == ARGS
    assert loaded.file.classes == ("a", "b", "c")


@pytest.mark.parametrize("name", ["hf-hub:a/b", "local-dir:/tmp", "nothing", "resnet"])
def test_a_name_that_is_no_model_of_timm_is_refused_and_never_fetched(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(DamagedFile, match="names no model"):
        load(saved(replace(ARGS, name=name), tmp_path / "model.pt"))


def test_a_network_of_a_fused_model_is_never_fetched_either(tmp_path: Path) -> None:
    peer, maps = replace(ARGS, name="hf-hub:a/b"), ((64, 1, 1), (64, 1, 1))
    with pytest.raises(DamagedFile, match="names no model"):
        load(saved(replace(ARGS, peers=(peer,), maps=maps), tmp_path / "model.pt"))


@pytest.mark.parametrize("many", [{"copies": 100_000}, {"heads": 10**9}, {"num_classes": 10**9}])
def test_what_its_weights_are_too_few_for_is_refused_before_it_is_built(
    many: dict[str, int], tmp_path: Path
) -> None:
    file = saved(replace(ARGS, **many), tmp_path / "model.pt")
    with pytest.raises(DamagedFile, match="more copies or outputs than it has weights of"):
        load(file)


@pytest.mark.parametrize("number", [10**9, -1e300, float("nan")])
def test_an_option_that_would_be_built_for_ever_is_refused(number: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none that kd passes on"):
        check_options({"depth": number})
    with pytest.raises(DamagedFile):
        load(saved(replace(ARGS, options={"depth": number}), tmp_path / "model.pt"))


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match="do not fit test_resnet"):
        load(saved(replace(ARGS, name="test_resnet"), tmp_path / "model.pt"))
