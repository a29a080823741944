"""A module of PyTorch becomes an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from kdcli.errors import UsageError
from kdcli.onnx_file.read import messages
from kdcli.onnx_file.silence import silence

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

INPUT, OUTPUT = "images", "logits"


def export_onnx(
    module: nn.Module,
    path: Path,
    *,
    input_size: tuple[int, int],
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write `module`, on the CPU, to `path`: weights inside, any batch size, `metadata` added.

    The module is left in eval mode. The file has passed ONNX's checker; whether it agrees with
    the module is for `compare` to say, before it takes its place (`files.atomic`). An ONNX file
    ends at 2 GB; so does this.
    """

    proto = _converted(module, input_size)
    _refuse_fixed_batch(proto)
    _forget_provenance(proto)
    write(proto, path, metadata)


def write(proto: ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model that has passed ONNX's checker, `metadata` added to its own."""
    import onnx

    known = {entry.key: entry.value for entry in proto.metadata_props}
    onnx.helper.set_model_props(proto, known | dict(metadata))
    path.write_bytes(proto.SerializeToString())
    onnx.checker.check_model(path, full_check=True)


def _converted(module: nn.Module, input_size: tuple[int, int]) -> ModelProto:
    """The module as ONNX in memory."""
    import torch

    # torch.export takes sizes 0 and 1 for constants: two images keep the batch a variable.
    example = torch.zeros(2, 3, *input_size)
    with silence():
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert program is not None  # only the old exporter returns nothing
    return program.model_proto


def _refuse_fixed_batch(proto: ModelProto) -> None:
    """The exporter quietly fixes the batch where a module's code depends on it."""
    for value in (*proto.graph.input, *proto.graph.output):
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise UsageError(
                f"the model's code depends on the batch size, so its {value.name!r} would be fixed",
                "change its forward so that it works for any number of images",
            )


def _forget_provenance(proto: ModelProto) -> None:
    """Drop the stack traces that torch notes at every node.

    They would give away the folders of the machine that exported, and make the size depend on them.
    """
    for message in messages(proto):
        if "metadata_props" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("metadata_props")
