"""A module of PyTorch becomes an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kdcli.core.errors import UsageError
from kdcli.deploy.onnx_file.external import needs_sidecar, save_with_sidecar
from kdcli.deploy.onnx_file.opsets import FUSED, TRACED, convert
from kdcli.deploy.onnx_file.read import messages
from kdcli.deploy.onnx_file.silence import silence

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

INPUT, OUTPUT = "images", "logits"


def export_onnx(
    module: nn.Module,
    path: Path,
    *,
    input_size: tuple[int, int],
    batch: int | None = None,
    metadata: Mapping[str, str] = MappingProxyType({}),
    opset: int | None = None,
) -> None:
    """Write `module`, on the CPU, to `path`, `metadata` added.

    `opset` is the version of ONNX's operators; None leaves it to torch.

    It takes any number of images, or `batch` of them and no other: then every shape is a constant.
    The module is left in eval mode. The file has passed ONNX's checker; whether it agrees with
    the module is for `compare` to say, before it takes its place (`files.atomic_pair`).
    Above 2 GB the weights lie in a sidecar beside it.

    Raises:
        UsageError: the module cannot be written for any batch size, or not in that opset.
    """
    traced = TRACED if opset and opset < FUSED else None
    proto = _converted(module, input_size, batch, traced)
    if opset:
        _refuse_size(proto, opset)
        proto = convert(proto, opset)
    if batch is None:
        _refuse_fixed_batch(proto)
    _forget_provenance(proto)
    write(proto, path, metadata)


def write(proto: ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model that has passed ONNX's checker, `metadata` added to its own.

    Weights that one file cannot hold become a sidecar (`external.sidecar`), and leave the model.
    """
    import onnx

    known = {entry.key: entry.value for entry in proto.metadata_props}
    onnx.helper.set_model_props(proto, known | dict(metadata))
    if needs_sidecar(proto):
        save_with_sidecar(proto, path)
    else:
        path.write_bytes(proto.SerializeToString())
    onnx.checker.check_model(path, full_check=True)


def _converted(
    module: nn.Module, input_size: tuple[int, int], batch: int | None, opset: int | None
) -> ModelProto:
    """The module as ONNX in memory."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    # torch.export takes sizes 0 and 1 for constants: two images keep the batch a variable.
    example = torch.zeros(batch or 2, 3, *input_size)
    any_batch = ({0: torch.export.Dim("batch")},)
    # The fused kernel's strides break the views behind a masked attention (beit): pytorch#136543.
    with silence(), _unfused(module), sdpa_kernel(SDPBackend.MATH):
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=opset,
            dynamic_shapes=any_batch if batch is None else None,
        )
    assert program is not None  # only the old exporter returns nothing
    return program.model_proto


@contextmanager
def _unfused(module: nn.Module) -> Iterator[None]:
    """timm's attention as products and softmax: torch's converter knows the fused operator for four
    dimensions alone, and nest, twins, hiera and SAM have three or five."""
    fused: list[Any] = [part for part in module.modules() if getattr(part, "fused_attn", False)]
    for part in fused:
        part.fused_attn = False
    try:
        yield
    finally:
        for part in fused:
            part.fused_attn = True


def _refuse_size(proto: ModelProto, opset: int) -> None:
    """onnx's converter takes a model as one message."""
    if needs_sidecar(proto):
        raise UsageError(
            f"--opset {opset}: onnx converts no model of more than 2 GB", "leave --opset out"
        )


def _refuse_fixed_batch(proto: ModelProto) -> None:
    """The exporter quietly fixes the batch where a module's code depends on it."""
    for value in (*proto.graph.input, *proto.graph.output):
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise UsageError(
                f"the model's code depends on the batch size, so its {value.name!r} would be fixed",
                "--batch N, or change its forward so that it works for any number of images",
            )


def _forget_provenance(proto: ModelProto) -> None:
    """Drop the stack traces that torch notes at every node.

    They would give away the folders of the machine that exported, and make the size depend on them.
    """
    for message in messages(proto):
        if "metadata_props" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("metadata_props")
