"""Weights outside an ONNX file: a sidecar in its folder, where protobuf's 2 GB do not hold them."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from kdcli.core.errors import DamagedFile

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

LIMIT = 2**31 - 2**26
"""Bytes of weights within one file; protobuf ends at 2 GiB, and the graph needs some of them."""
SMALL = 1024
"""Bytes of a tensor that stays in the file whatever the others do: shapes are read from such."""
FETCH_AGAIN = "fetch or export the model again, with all its files in one folder"


def sidecar(path: Path) -> Path:
    """Where the weights of an ONNX file lie that are too many for it."""
    return path.with_name(f"{path.name}.data")


def size(path: Path) -> int:
    """Bytes of an ONNX file of kd, with those of its sidecar where it has one."""
    beside = sidecar(path)
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


def needs_sidecar(proto: ModelProto) -> bool:
    """Whether its weights are too many for one file."""
    # not ByteSize(): it serialises, and fails beyond 2 GB
    return sum(len(tensor.raw_data) for tensor in proto.graph.initializer) > LIMIT


def save_with_sidecar(proto: ModelProto, path: Path) -> None:
    """Write the model, its weights beside it; the model in memory is left without them."""
    import onnx

    sidecar(path).unlink(missing_ok=True)  # onnx appends
    onnx.save_model(
        proto,
        path,
        save_as_external_data=True,
        location=sidecar(path).name,
        size_threshold=SMALL,
    )


def ensure_inside(tensors: Iterator[TensorProto], path: Path) -> None:
    """Refuse tensors whose data do not lie, plain and whole, in a file below the model's folder.

    Looked up by name and size; nothing is opened.

    Raises:
        DamagedFile: an absolute path, `..`, a link on the way, a file that is missing or too short.
    """
    for tensor in tensors:
        entries = [(entry.key, entry.value) for entry in tensor.external_data]
        if not entries and not tensor.data_location:
            continue
        said = dict(entries)
        location = said.get("location", "")
        if reason := (
            "says twice where its weights lie"
            if len(said) < len(entries)
            else _why_not_there(path.parent, location) or _why_not_whole(tensor, said, path.parent)
        ):
            raise DamagedFile(f"{path}: {reason}", FETCH_AGAIN)


def _why_not_there(folder: Path, location: str) -> str:
    """By the rules of either system, since the file may come from the other one."""
    ways = PurePosixPath(location), PureWindowsPath(location)
    if any(way.anchor or ".." in way.parts for way in ways):
        return f"keeps weights outside its folder, at {location!r}"
    place = folder
    for part in ways[0].parts:
        place /= part
        if place.is_symlink():
            return f"keeps weights behind a link, at {location!r}"
    try:
        kind = place.lstat().st_mode
    except (OSError, ValueError):  # no such name, or none that can be
        return f"lacks its weights, {location!r}"
    return "" if stat.S_ISREG(kind) else f"keeps weights in what is no file, {location!r}"


def _why_not_whole(tensor: TensorProto, said: dict[str, str], folder: Path) -> str:
    location = said["location"]
    whole = (folder / location).stat().st_size
    try:
        offset = int(said.get("offset", 0))
        length = int(said.get("length", whole - offset))
    except ValueError:
        return f"does not say where in {location!r} its weights lie"
    if min(offset, length) < 0 or offset + length > whole:
        return f"{location!r} holds {whole:,} bytes, and its weights end behind them"
    wanted = _bytes(tensor)
    if wanted is not None and wanted != length:
        return f"{location!r} holds {length:,} bytes of '{tensor.name}', which needs {wanted:,}"
    return ""


def _bytes(tensor: Any) -> int | None:
    """That its shape asks for; None for types that are packed."""
    import onnx

    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        return None
    return math.prod(tensor.dims) * dtype.itemsize if dtype.kind in "biufc" else None
