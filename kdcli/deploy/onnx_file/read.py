"""An ONNX file is opened and described; nothing outside its folder is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.file_format import ONNX
from kdcli.deploy.onnx_file.external import ensure_inside

if TYPE_CHECKING:
    from onnx import ModelProto

EXPORT_AGAIN = "export it again: kd export"


def opset(path: Path) -> int:
    """Version of ONNX's own operators that the file asks for."""
    return opset_of(load(path))


def opset_of(proto: ModelProto) -> int:
    """The same of a model in memory."""
    domains = {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import}
    return int(domains["ai.onnx"])


@dataclass(frozen=True)
class Port:
    """An input or output."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    """A word stands for any number."""


@dataclass(frozen=True)
class Description:
    """What an ONNX file says of itself."""

    opset: int
    ir_version: int
    producer: str
    nodes: int
    parameters: int
    """Numbers in its constants."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: dict[str, str]
    """Of a file of kd: `kd.model`, `kd.classes`, ..."""


def describe(path: Path) -> Description:
    """Read the file without running it.

    Raises:
        UsageError: there is none.
        DamagedFile: it is no ONNX file, or a newer kd's.
    """
    proto = load(path)
    return Description(
        opset=opset_of(proto),
        ir_version=proto.ir_version,
        producer=f"{proto.producer_name} {proto.producer_version}".strip(),
        nodes=len(proto.graph.node),
        parameters=sum(int(np.prod(tensor.dims)) for tensor in proto.graph.initializer),
        inputs=inputs(proto),
        outputs=tuple(_port(v) for v in proto.graph.output),
        metadata=metadata(proto, path),
    )


def metadata(proto: ModelProto, path: Path) -> dict[str, str]:
    """What a file says of itself: one of kd in `kd.*`.

    Raises:
        DamagedFile: a newer kd wrote it, and may mean something else by it.
    """
    known = {entry.key: entry.value for entry in proto.metadata_props}
    number = known.get(ONNX.key)
    found = int(number) if number and number.isascii() and number.isdigit() else number
    ONNX.refuse_others(path, found, EXPORT_AGAIN)
    return known


def inputs(proto: ModelProto) -> tuple[Port, ...]:
    """What it must be given; in old files constants stand among them, too."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    return tuple(_port(value) for value in proto.graph.input if value.name not in constants)


def _port(value: Any) -> Port:
    import onnx

    tensor = value.type.tensor_type
    known = tuple(d.dim_param or d.dim_value or "?" for d in tensor.shape.dim)
    shape = known if tensor.HasField("shape") else ("...",)
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:  # a sequence, a map: no tensor
        dtype = "?"
    return Port(value.name, dtype, shape)


def load(path: Path) -> ModelProto:
    """Parse the file and refuse what is no model or would make onnxruntime read elsewhere.

    Weights that lie beside the file stay there: see `load_whole`.
    """
    import onnx

    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    content = path.read_bytes()
    try:
        proto: ModelProto = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's DecodeError; not importable with types
        raise DamagedFile(f"{path}: not an ONNX file, or cut short", EXPORT_AGAIN) from error
    if any(map(_has_no_text, messages(proto))):
        raise DamagedFile(f"{path}: damaged, its names are no text", EXPORT_AGAIN)
    own = any(entry.domain in ("", "ai.onnx") for entry in proto.opset_import)
    if not (own and proto.graph.node and proto.graph.output and inputs(proto)):
        raise DamagedFile(f"{path}: holds no model", EXPORT_AGAIN)  # an empty file parses, too
    ensure_inside(_tensors(proto), path)
    return proto


def load_whole(path: Path) -> ModelProto:
    """`load`, with the weights that lie beside the file."""
    import onnx

    proto = load(path)
    onnx.external_data_helper.load_external_data_for_model(proto, str(path.parent))
    return proto


def _tensors(proto: ModelProto) -> Iterator[Any]:
    return (each for each in messages(proto) if each.DESCRIPTOR.name == "TensorProto")


def _has_no_text(message: Any) -> bool:
    """Whether a text in it is no UTF-8: protobuf hands that out as bytes."""
    texts = (v for field, v in message.ListFields() if field.type == field.TYPE_STRING)
    return any(bytes in map(type, (v,) if isinstance(v, str | bytes) else v) for v in texts)


def messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all that it holds, at any depth: subgraphs, functions, attributes."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if isinstance(value, Sequence) else (value,):
                yield from messages(child)
