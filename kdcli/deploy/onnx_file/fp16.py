"""A file in float32 becomes one in float16: half the bytes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kdcli.deploy.onnx_file.read import load
from kdcli.deploy.onnx_file.silence import silence

if TYPE_CHECKING:
    from onnx import ModelProto


def to_fp16(source: Path) -> ModelProto:
    """Weights and arithmetic in float16; what goes in and comes out stays float32.

    What float16 has no kernel for (Max, CumSum, the scales of Resize, ...) stays float32 between
    casts. Constants beyond float16 (masks of -3e38) become its largest number, 65504, which is as
    good in front of a softmax. Sums beyond it overflow: that is for `compare` to find.
    """
    import_path = list(sys.path)
    try:
        from onnxruntime.quantization.onnx_model import ONNXModel
        from onnxruntime.transformers.float16 import convert_float_to_float16
    finally:
        sys.path[:] = import_path  # the package adds its own folder, whose names are common ones
    with silence():
        proto: ModelProto = convert_float_to_float16(load(source), keep_io_types=True)
        proto.graph.ClearField("value_info")  # types as they were
        ONNXModel(proto).topological_sort()  # casts were put behind those who need them
    return proto
