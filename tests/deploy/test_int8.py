"""A file in 8-bit integers, and one in float16, of small modules."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from kdcli.deploy.onnx_file.fp16 import to_fp16
from kdcli.deploy.onnx_file.int8 import (
    ACTIVATIONS,
    calibrate,
    depthwise,
    outer_layers,
    preprocess,
    quantize,
)
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx, write
from kdcli.deploy.parity import FP16, INT8, Parity, agrees, compare
from kdcli.report.choices import Calibration

BATCHES = [
    np.random.default_rng(seed).normal(size=(4, 3, 8, 8)).astype(np.float32) for seed in range(3)
]


def exported(module: nn.Module, path: Path) -> Path:
    export_onnx(module, path, input_size=(8, 8), metadata={"kd.model": "small"})
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions and a classifier."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Hardswish(),
        nn.Flatten(),
        nn.Linear(128, 5),
    )
    return exported(module, tmp_path_factory.mktemp("small") / "model.onnx")


def types_of(proto: onnx.ModelProto) -> dict[str, str]:
    """Element type of each constant."""
    return {
        tensor.name: onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        for tensor in proto.graph.initializer
    }


def node(proto: onnx.ModelProto, name: str) -> onnx.NodeProto:
    (found,) = [one for one in proto.graph.node if one.name == name]
    return found


def producer(proto: onnx.ModelProto, tensor: str) -> onnx.NodeProto:
    (found,) = [one for one in proto.graph.node if tensor in one.output]
    return found


# int8 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["x86", "arm"])
def test_weights_by_channel_activations_by_target(target: Any, small: Path) -> None:
    proto = quantize(small, calibrate(small, BATCHES, "MinMax"), target)
    kinds = types_of(proto)
    first, last = outer_layers(small)
    for name, channels in ((first, 8), (last, 5)):
        layer = node(proto, name)
        activations, weights = (producer(proto, tensor) for tensor in layer.input[:2])
        assert activations.op_type == weights.op_type == "DequantizeLinear"
        assert kinds[weights.input[0]] == "int8"
        assert kinds[activations.input[2]] == ACTIVATIONS[target]
        (scales,) = [t for t in proto.graph.initializer if t.name == weights.input[1]]
        assert list(scales.dims) == [channels]
    assert ACTIVATIONS == {"x86": "uint8", "arm": "int8"}


def test_nodes_that_are_left_out_stay_in_float32(small: Path) -> None:
    first, last = outer_layers(small)
    ranges = calibrate(small, BATCHES, "MinMax")
    proto = quantize(small, ranges, "x86", left_out=[last])
    kinds = types_of(proto)
    assert kinds[node(proto, last).input[1]] == "float"
    assert producer(proto, node(proto, first).input[1]).op_type == "DequantizeLinear"


def test_reduced_weights_have_seven_bits(small: Path) -> None:
    ranges = calibrate(small, BATCHES, "MinMax")

    def most(reduce_range: bool) -> int:
        proto = quantize(small, ranges, "x86", reduce_range=reduce_range)
        found = [t for t in proto.graph.initializer if t.data_type == onnx.TensorProto.INT8]
        return max(int(np.abs(onnx.numpy_helper.to_array(t).astype(int)).max()) for t in found)

    assert most(False) > 64 >= most(True)


@pytest.mark.parametrize("calibration", get_args(Calibration))
@pytest.mark.parametrize("prepared", [False, True])
def test_every_calibration_answers_nearly_as_fp32(
    calibration: Calibration, prepared: bool, small: Path, tmp_path: Path
) -> None:
    source = small
    if prepared:
        preprocess(small, source := tmp_path / "prepared.onnx")
    proto = quantize(source, calibrate(source, BATCHES, calibration), "x86")
    write(proto, tmp_path / "int8.onnx", {"kd.precision": "int8"})
    images = np.concatenate(BATCHES)
    apart = np.abs(open_session(tmp_path / "int8.onnx")(images) - open_session(small)(images))
    assert 0 < apart.mean() < 0.05
    kept = onnx.load_model(tmp_path / "int8.onnx").metadata_props
    assert {"kd.model", "kd.precision"} <= {entry.key for entry in kept}


def test_calibration_looks_at_every_batch(small: Path) -> None:
    """One batch after another, none forgotten: the largest stands in the middle."""
    batches = [BATCHES[0], 9 * BATCHES[1], BATCHES[2]]
    low, high = calibrate(small, batches, "MinMax")["images"].range_value
    assert low == min(batch.min() for batch in batches)
    assert high == max(batch.max() for batch in batches)


def test_entropy_leaves_an_outlier_out(small: Path) -> None:
    spiked = [batch.copy() for batch in BATCHES]
    spiked[0][0, 0, 0, 0] = 100
    highest = {
        kind: np.max(calibrate(small, spiked, kind)["images"].range_value[1])
        for kind in get_args(Calibration)
    }
    assert highest["MinMax"] == 100
    assert highest["Entropy"] < 100


def test_mobile_networks_convolve_channel_by_channel(small: Path, tmp_path: Path) -> None:
    assert depthwise(small)
    assert not depthwise(exported(nn.Sequential(nn.Conv2d(3, 8, 8), nn.Flatten()), tmp_path / "m"))


@pytest.mark.parametrize(
    "work",
    [
        lambda path, there: preprocess(path, there / "prepared.onnx"),
        lambda path, there: quantize(path, calibrate(path, BATCHES, "Entropy"), "x86"),
        lambda path, there: to_fp16(path),
    ],
)
def test_nothing_is_printed_or_left(
    work: Callable[[Path, Path], Any],
    small: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (there := tmp_path / "there").mkdir()
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.chdir(there)
    import_path = list(sys.path)
    work(small, there)
    assert capfd.readouterr() == ("", "")
    assert {entry.name for entry in there.iterdir()} <= {"prepared.onnx"}
    assert not list(scratch.iterdir())
    assert [entry.name for entry in small.parent.iterdir()] == ["model.onnx"]
    assert sys.path == import_path


def test_no_torch_is_needed(small: Path) -> None:
    program = (
        "import sys, pathlib, numpy as np\n"
        "from kdcli.deploy.onnx_file.int8 import calibrate, quantize\n"
        "from kdcli.deploy.onnx_file.fp16 import to_fp16\n"
        f"path = pathlib.Path({str(small)!r})\n"
        "images = [np.ones((1, 3, 8, 8), np.float32)]\n"
        "quantize(path, calibrate(path, images, 'MinMax'), 'arm')\n"
        "to_fp16(path)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# fp16 --------------------------------------------------------------------------------------------


class Resized(nn.Module):
    """Resize takes its scales in float32, whatever its images are."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        larger = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        return self.head(nn.functional.interpolate(larger, size=(9, 9)).amax((2, 3)))


class Masked(nn.Module):
    """Constants beyond float16, and Max, which it has no kernel for."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(192, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = x.flatten(1)
        shares = scores.masked_fill(scores < -1, -3.4e38).softmax(1)
        return self.head(torch.maximum(shares, torch.tensor(1e-9)))


class Overflowing(nn.Module):
    """A sum beyond 65504."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = (300 * x.flatten(1)).square().sum(1, keepdim=True)
        return torch.cat([large * 1e-7, x.flatten(1)], 1)


@pytest.mark.parametrize(("module", "bears"), [(Resized, 1), (Masked, 1), (Overflowing, 0)])
def test_half_precision(module: type[nn.Module], bears: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = exported(module(), tmp_path / "fp32.onnx")
    write(to_fp16(source), tmp_path / "fp16.onnx", {})
    proto = onnx.load_model(tmp_path / "fp16.onnx")
    floats = onnx.TensorProto.FLOAT
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.elem_type == floats
    one, other = (open_session(tmp_path / f"{name}.onnx") for name in ("fp32", "fp16"))
    assert agrees(compare(one(BATCHES[0]), other(BATCHES[0]), FP16), FP16) is bool(bears)


def test_half_the_bytes(small: Path, tmp_path: Path) -> None:
    write(to_fp16(small), tmp_path / "fp16.onnx", {})
    weights = sum(2 * np.prod(t.dims) for t in onnx.load_model(small).graph.initializer)
    assert (tmp_path / "fp16.onnx").stat().st_size < small.stat().st_size - 0.9 * weights


# What is held ------------------------------------------------------------------------------------


def test_int8_is_held_by_its_classes() -> None:
    expected = np.eye(10, dtype=np.float32)
    shifted = 5 * expected
    assert agrees(compare(expected, shifted, INT8), INT8)
    shifted[0] = shifted[1]
    assert agrees(compare(expected, shifted, INT8), INT8), "one of ten"
    shifted[2] = shifted[1]
    assert not agrees(compare(expected, shifted, INT8), INT8)
    assert not agrees(compare(expected, np.full_like(expected, np.nan), INT8), INT8)


def test_fp16_is_held_by_the_largest_logit() -> None:
    expected = np.array([[0.0, 100.0], [50.0, 0.0]], np.float32)
    assert compare(expected, expected, FP16).allowed == 1.0
    assert compare(expected / 1000, expected / 1000, FP16).allowed == 0.01
    assert agrees(Parity(0.9, 1, 200, allowed=1.0), FP16)
    assert not agrees(Parity(1.1, 1, 200, allowed=1.0), FP16)
    assert not agrees(Parity(0.9, 2, 200, allowed=1.0), FP16)
