"""Other versions of ONNX's operators: what converts, what does not, and what is said of it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from house import House, kd, kd_ok
from torch import nn

from kdcli.core.errors import UsageError
from kdcli.deploy.onnx_file import opsets
from kdcli.deploy.onnx_file.opsets import convert, ensure_known
from kdcli.deploy.onnx_file.read import load, opset
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.deploy.parity import agrees, compare

MODELS = ("test_resnet", "test_vit", "test_efficientnet", "mobilenetv3_small_100")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A mean over pixels, whose axes moved with opset 18, and a Gelu, which came with 20."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.GELU(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()


def differs(module: nn.Module, path: Path, size: int) -> bool:
    images = np.random.default_rng(0).normal(size=(7, 3, size, size)).astype(np.float32)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(images)).numpy()
    return not agrees(compare(expected, open_session(path)(images)))


@pytest.mark.parametrize("version", [14, 15, 17, 18, 20, 21, 22])
def test_the_file_is_of_the_opset_asked_for(
    version: int, network: nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(network, path, input_size=(8, 8), opset=version)
    assert opset(path) == version
    assert not differs(network, path, 8)
    graph = load(path).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param, "any batch size still"


def test_none_leaves_it_to_the_exporter(network: nn.Module, tmp_path: Path) -> None:
    export_onnx(network, tmp_path / "model.onnx", input_size=(8, 8))
    assert opset(tmp_path / "model.onnx") >= 18


def test_the_file_format_is_as_old_as_the_opset_allows(network: nn.Module, tmp_path: Path) -> None:
    export_onnx(network, tmp_path / "model.onnx", input_size=(8, 8), opset=15)
    assert load(tmp_path / "model.onnx").ir_version == 8


def test_what_an_opset_lacks_is_named(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    norm = nn.Sequential(network, nn.LayerNorm(4))
    with pytest.raises(UsageError) as caught:
        export_onnx(norm, path, input_size=(8, 8), opset=15)
    assert caught.value.what == "--opset 15: LayerNormalization came with opset 17"
    assert caught.value.fix == "the lowest that this model converts to is 17"
    assert not list(tmp_path.iterdir())


def test_what_onnx_does_not_convert_is_said(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export_onnx(network, tmp_path / "model.onnx", input_size=(8, 8), opset=13)
    assert "onnx cannot convert this model: No Adapter" in caught.value.what
    assert caught.value.fix == "the lowest that this model converts to is 14"


def test_a_conversion_that_stops_short_is_noticed(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_onnx(network, tmp_path / "model.onnx", input_size=(8, 8))
    monkeypatch.setattr(onnx.version_converter, "convert_version", lambda proto, version: proto)
    with pytest.raises(UsageError, match="instead"):
        convert(load(tmp_path / "model.onnx"), 22)


@pytest.mark.parametrize("version", [-1, 0, 6, 99])
def test_an_opset_that_nobody_knows_is_refused_with_the_range(version: int) -> None:
    with pytest.raises(UsageError, match=rf"--opset {version}: ") as caught:
        ensure_known(version)
    assert f"know {opsets.OLDEST} to {onnx.defs.onnx_opset_version()}" in caught.value.fix


def test_an_opset_that_onnxruntime_lacks_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    newest = onnx.defs.onnx_opset_version()

    def refuse(content: bytes, **options: Any) -> None:
        if onnx.load_model_from_string(content).opset_import[0].version > newest - 2:
            raise RuntimeError("under development")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    opsets._newest.cache_clear()
    try:
        assert opsets._newest() == newest - 2
    finally:
        opsets._newest.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("version", [15, 17, 18, 20, 21, 22])
@pytest.mark.parametrize("name", MODELS)
def test_models_of_timm(name: str, version: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"img_size": 64} if name == "test_vit" else {}
    module, path = timm.create_model(name, num_classes=10, **options), tmp_path / "model.onnx"
    if name == "test_vit" and version < 17:
        with pytest.raises(UsageError, match="LayerNormalization came with opset 17"):
            export_onnx(module, path, input_size=(64, 64), opset=version)
        return
    export_onnx(module, path, input_size=(64, 64), opset=version)
    assert opset(path) == version
    assert not differs(module, path, 64)


# The command -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_export_in_another_opset(distilled: House) -> None:
    report = kd_ok("export", distilled.student, "--opset", "15", "--json").document
    (entry,) = report["exports"]
    assert (entry["opset"], entry["parity"]["top1_changed"]) == (15, 0)
    assert opset(distilled.student / "export" / "model.onnx") == 15


@pytest.mark.slow
def test_a_refused_opset_leaves_nothing(distilled: House) -> None:
    for version, words in (("13", "the lowest that this model converts to is 14"), ("99", "know ")):
        answer = kd("export", distilled.student, "--opset", version)
        assert answer.code == 2
        assert words in answer.err
    assert not (distilled.student / "export").exists()
    assert not list(distilled.student.rglob("*.tmp"))
