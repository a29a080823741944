"""A file in float32 becomes one of 8-bit integers: static quantisation by onnxruntime.

Pairs of QuantizeLinear and DequantizeLinear ("QDQ") around each operator, weights int8 with a scale
per output channel (Krishnamoorthi 2018, arXiv:1806.08342), activations with one scale each, read
off images that were run through the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kdcli.core.arrays import Floats
from kdcli.deploy.onnx_file.read import inputs, load
from kdcli.deploy.onnx_file.silence import silence
from kdcli.report.choices import Calibration, Integer, Target

if TYPE_CHECKING:
    from onnx import ModelProto

ACTIVATIONS: dict[Target, Integer] = {"x86": "uint8", "arm": "int8"}
"""What the processor's dot products of bytes take: VNNI multiplies unsigned by signed ones."""
BINS: dict[Calibration, dict[str, int]] = {
    "MinMax": {},
    "Percentile": {},
    "Entropy": {"num_bins": 256},
}
"""onnxruntime's own 128 bins leave Entropy a single threshold to choose from: the largest value.
More cost time in proportion."""
LAYERS = ("Conv", "MatMul", "Gemm")
"""Operators that have weights."""


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime's native messages go to stderr whatever Python does with it."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    try:
        with silence():
            yield
    finally:
        onnxruntime.set_default_logger_severity(2)  # as it is when nobody has set it


def preprocess(source: Path, path: Path) -> None:
    """What onnxruntime advises before quantising: shapes inferred, constants and norms folded.

    It may also take operators apart that run faster whole, which is why it is tried both ways.
    """
    from onnxruntime.quantization import quant_pre_process

    with _quiet():
        quant_pre_process(source, path)


def outer_layers(source: Path) -> tuple[str, str]:
    """Names of the first and the last node that have weights; ("", "") where there are none."""
    names = [node.name for node in load(source).graph.node if node.op_type in LAYERS] or [""]
    return names[0], names[-1]


def calibrate(source: Path, batches: Iterable[Floats], calibration: Calibration) -> Any:
    """The ranges of all activations, from images as the file is fed, float32 (B, C, H, W) a batch.

    `MinMax`: all that was seen; `Percentile`: 99.999% of it; `Entropy`: the range that keeps the
    distribution's information best (Migacz 2017, "8-bit inference with TensorRT"). Each batch is
    counted at once, so that memory is that of one batch's activations.
    """
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    fed = inputs(load(source))[0].name
    with TemporaryDirectory() as scratch, _quiet():
        calibrator = create_calibrator(
            Path(copy(source, Path(scratch) / "model.onnx")),
            _operators(),
            augmented_model_path=str(Path(scratch) / "augmented.onnx"),
            calibrate_method=CalibrationMethod[calibration],
            extra_options=BINS[calibration],
        )
        for batch in batches:
            calibrator.collect_data(_Once({fed: batch}))
        return calibrator.compute_data()


def quantize(
    source: Path,
    ranges: Any,
    target: Target,
    *,
    left_out: Iterable[str] = (),
    reduce_range: bool = False,
) -> ModelProto:
    """The file in 8-bit integers, but for the nodes that are `left_out`.

    `ranges` are those of `calibrate` for this very file. `reduce_range`: weights of 7 bits, for x86
    processors without VNNI, whose sums of two products overflow 16 bits.
    """
    from onnxruntime.quantization import QDQQuantizer, QuantType

    with _quiet():
        quantizer = QDQQuantizer(
            load(source),
            per_channel=True,
            reduce_range=reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8 if target == "x86" else QuantType.QInt8,
            tensors_range=ranges,
            nodes_to_quantize=[],
            nodes_to_exclude=list(left_out),
            op_types_to_quantize=_operators(),
            extra_options={},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    proto: ModelProto = quantizer.model.model
    return proto


def depthwise(source: Path) -> bool:
    """Whether it convolves channel by channel, as mobile networks do."""
    nodes = [node for node in load(source).graph.node if node.op_type == "Conv"]
    return any(a.name == "group" and a.i > 1 for node in nodes for a in node.attribute)


def _operators() -> list[str]:
    """All that onnxruntime can quantise."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QLinearOpsRegistry, *QDQRegistry})


class _Once:
    """One batch, as onnxruntime asks for batches."""

    def __init__(self, batch: dict[str, Floats]) -> None:
        self._batches = iter([batch])

    def get_next(self) -> dict[str, Floats] | None:
        return next(self._batches, None)
