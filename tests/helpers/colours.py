"""ONNX files made by hand, which name the colour that an image has most of."""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

COLOURS = ("red", "green", "blue")
SIZE = 8
RED, GREEN, BLUE = (
    np.full((SIZE, SIZE, 3), np.eye(3, dtype=np.uint8)[i] * 200 + 20, np.uint8) for i in range(3)
)


def tensor_file(path: Path, *, batch: int | str = "batch", **more: str) -> Path:
    """Takes normalised floats (B, 3, 8, 8), gives logits: each channel's mean."""
    takes = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])
    nodes = [helper.make_node("ReduceMean", ["images", "axes"], ["logits"], keepdims=0)]
    return _write(path, nodes, takes, [2, 3], described(**more))


def pixels_file(path: Path, *, size: int | str = SIZE, **more: str) -> Path:
    """Takes uint8 (B, H, W, 3) as they are, gives probabilities."""
    shape = ["batch", size, size if isinstance(size, int) else "width", 3]
    takes = helper.make_tensor_value_info("images", TensorProto.UINT8, shape)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Softmax", ["means"], ["probabilities"], axis=-1),
    ]
    known = {"kd.input_kind": "pixels", "kd.output": "probabilities"}
    return _write(path, nodes, takes, [1, 2], described(**known, **more))


def described(**more: str) -> dict[str, str]:
    """The metadata that every file of kd has."""
    return {
        "kd.classes": json.dumps(COLOURS),
        "kd.input_size": str(SIZE),
        "kd.mean": json.dumps([0.5, 0.4, 0.3]),
        "kd.std": json.dumps([0.2, 0.2, 0.2]),
        **more,
    }


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """Any image of this size."""
    return np.random.default_rng(height).integers(256, size=(height, width, 3), dtype=np.uint8)


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    takes: onnx.ValueInfoProto,
    axes: list[int],
    metadata: dict[str, str],
) -> Path:
    batch = takes.type.tensor_type.shape.dim[0]
    shape = [batch.dim_param or batch.dim_value, len(COLOURS)]
    gives = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, shape)
    constants = [helper.make_tensor("axes", TensorProto.INT64, [2], axes)]
    graph = helper.make_graph(nodes, "colours", [takes], [gives], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(proto, metadata)
    onnx.save(proto, path)
    return path
