"""One student as one ONNX file: written, opened, and compared with PyTorch.

B images, K classes, H x W pixels. The file takes `images` (B, 3, H, W), float32 and already
normalised, for any B, and gives `logits` (B, K) float32. Reading and running one needs no torch.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from kdcli.errors import DamagedFile, ParityError, UsageError

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

Floats = NDArray[np.float32]

INPUT, OUTPUT = "images", "logits"
EXPORT_AGAIN = "export it again: kd export"

# Writing ---------------------------------------------------------------------------------------


def export_onnx(
    module: nn.Module, path: Path, *, input_size: tuple[int, int], metadata: Mapping[str, str]
) -> None:
    """Write `module`, on the CPU, to `path`: weights inside, any batch size, `metadata` added.

    The module is left in eval mode. The file has passed ONNX's checker; whether it agrees with
    the module is for `compare` to say, before it takes its place (`files.atomic`). An ONNX file
    ends at 2 GB; so does this.
    """
    import onnx

    proto = _converted(module, input_size)
    _refuse_fixed_batch(proto)
    _forget_provenance(proto)
    onnx.helper.set_model_props(proto, dict(metadata))
    path.write_bytes(proto.SerializeToString())
    onnx.checker.check_model(path, full_check=True)


def _converted(module: nn.Module, input_size: tuple[int, int]) -> ModelProto:
    """The module as ONNX in memory."""
    import torch

    # torch.export takes sizes 0 and 1 for constants: two images keep the batch a variable.
    example = torch.zeros(2, 3, *input_size)
    with _silence():
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
    for message in _messages(proto):
        if "metadata_props" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("metadata_props")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's prints off stdout, where results belong, and its advice off stderr."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), catch_warnings():
            simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


# Reading ---------------------------------------------------------------------------------------


def open_session(path: Path, threads: int = 1) -> Callable[[Floats], Floats]:
    """The file as a function from images (B, 3, H, W) to logits (B, K), on `threads` CPU cores."""
    import onnxruntime

    _load(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class of their own
        raise DamagedFile(f"{path}: onnxruntime cannot run it: {error}", EXPORT_AGAIN) from error
    name = session.get_inputs()[0].name

    def logits(images: Floats) -> Floats:
        answer: Floats = session.run(None, {name: images})[0]
        return answer

    return logits


def opset(path: Path) -> int:
    """Version of ONNX's own operators that the file asks for."""
    domains = {entry.domain or "ai.onnx": entry.version for entry in _load(path).opset_import}
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
        DamagedFile: it is no ONNX file.
    """
    proto = _load(path)
    constants = {tensor.name for tensor in proto.graph.initializer}
    return Description(
        opset=opset(path),
        ir_version=proto.ir_version,
        producer=f"{proto.producer_name} {proto.producer_version}".strip(),
        nodes=len(proto.graph.node),
        parameters=sum(int(np.prod(tensor.dims)) for tensor in proto.graph.initializer),
        inputs=tuple(_port(v) for v in proto.graph.input if v.name not in constants),
        outputs=tuple(_port(v) for v in proto.graph.output),
        metadata={entry.key: entry.value for entry in proto.metadata_props},
    )


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


def _load(path: Path) -> ModelProto:
    """Parse the file and refuse what is no model or would make onnxruntime read elsewhere."""
    import onnx

    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    content = path.read_bytes()
    try:
        proto: ModelProto = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's DecodeError; not importable with types
        raise DamagedFile(f"{path}: not an ONNX file, or cut short", EXPORT_AGAIN) from error
    if not proto.graph.node or not proto.opset_import:  # an empty file parses, too
        raise DamagedFile(f"{path}: holds no model", EXPORT_AGAIN)
    for location in _external_locations(proto):
        if _leaves_folder(location):
            raise DamagedFile(f"{path}: keeps weights outside its folder, at {location!r}")
    return proto


def _external_locations(proto: ModelProto) -> Iterator[str]:
    """Where the tensors say that their data lie, other than in the file."""
    for message in _messages(proto):
        for entry in getattr(message, "external_data", ()):
            if entry.key == "location":
                yield entry.value


def _leaves_folder(location: str) -> bool:
    """By the rules of either system, since the file may come from the other one."""
    ways = PurePosixPath(location), PureWindowsPath(location)
    return any(way.anchor or ".." in way.parts for way in ways)


def _messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all that it holds, at any depth: subgraphs, functions, attributes."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if isinstance(value, Sequence) else (value,):
                yield from _messages(child)


# Comparing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parity:
    """How far two answers to the same images lie apart."""

    max_abs: float
    """Largest difference of any logit; infinite where one is not a number."""
    top1_changed: int
    """Images whose class changed although it was not a near tie."""
    images: int


def compare(expected: Floats, actual: Floats, tolerance: float = 1e-3) -> Parity:
    """Logits (B, K) of the file against PyTorch's; ties within `tolerance` may fall either way."""
    if actual.shape != expected.shape:
        raise ParityError(f"logits of shape {actual.shape}, PyTorch gives {expected.shape}")
    apart = np.abs(actual.astype(np.float64) - expected)
    second, first = np.sort(expected, axis=1)[:, -2:].T
    changed = actual.argmax(axis=1) != expected.argmax(axis=1)
    return Parity(
        max_abs=float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max()),
        top1_changed=int(np.sum(changed & (first - second > tolerance))),
        images=len(expected),
    )


def agrees(parity: Parity, tolerance: float = 1e-3) -> bool:
    """Whether the file may stand for the model."""
    return parity.max_abs <= tolerance and parity.top1_changed == 0
