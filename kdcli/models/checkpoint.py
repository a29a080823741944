"""model.pt and the resume state, and somebody else's weights: what they hold."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.file_format import MODEL, STATE
from kdcli.core.files import atomic
from kdcli.models.foreign.plain_values import harmless
from kdcli.models.torch_file import COPY, first_sentence, read, write

AFRESH = "delete that file and repeat the command: its training starts afresh"
_WHOSE = (
    "give a run folder or the model.pt of a kd run; for weights from elsewhere say whose they are: "
    "kd inspect {named}, --teacher {named}, --student {named}, kd export {path} --model NAME"
)

Weights = dict[str, torch.Tensor]
"""A state dict: tensors by their keys."""
FOREIGN = (
    argparse.Namespace,  # timm's training checkpoints keep their flags in one
    *harmless(),
)
"""What a file of weights may hold beside tensors: plain values, which hold no code."""


@dataclass(frozen=True)
class ModelFile:
    """What model.pt holds: everything that is needed to use the model elsewhere."""

    model: dict[str, Any]
    """timm's name and arguments (`models.model_args.ModelArgs`), mean, std and input size
    included."""
    state_dict: Weights
    """Keys are timm's own."""
    classes: tuple[str, ...]
    recipe: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    """Data, seed, epochs, versions, ..."""


def save_model(file: ModelFile, path: Path) -> None:
    """Write model.pt, whole or not at all; its being there says that a run is finished.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    raw = {
        **MODEL.numbered,
        "model": file.model,
        "state_dict": {k: v.detach().cpu() for k, v in file.state_dict.items()},
        "classes": list(file.classes),
        "recipe": file.recipe,
        "provenance": file.provenance,
    }
    write(raw, path)


def load_model(path: Path) -> ModelFile:
    """Read a model.pt.

    Raises:
        DamagedFile: truncated, not kd's, of a newer kd, or holding code, which is never run.
    """
    # somebody else's weights are read as such, to be called what they are: not kd's, but no code
    raw = read_weights(path) if _is_safetensors(path) else read(path, allowed=FOREIGN)
    if not isinstance(raw, dict) or MODEL.key not in raw:
        raise DamagedFile(
            f"{path}: a file of weights, but none that kd wrote (no model name or classes in it)",
            _WHOSE.format(named=quote(f"NAME={path}"), path=quote(str(path))),
        )
    MODEL.refuse_others(path, raw[MODEL.key])
    try:
        return ModelFile(
            model=dict(raw["model"]),
            state_dict=dict(raw["state_dict"]),
            classes=tuple(raw["classes"]),
            recipe=dict(raw["recipe"]),
            provenance=dict(raw["provenance"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{path}: incomplete ({error})", "make it again") from error


def read_weights(path: Path) -> Any:
    """What somebody else's file holds, on the CPU: a mapping of tensors, or one that holds one.

    Raises:
        UsageError: there is no such file.
        DamagedFile: no file of weights, or one that holds code, which is never run.
    """
    if not path.is_file():
        what = "a folder, not a file of weights" if path.is_dir() else "no such file"
        raise UsageError(f"{path}: {what}", "give the path of a .pth, .pt, .bin or .safetensors")
    if path.stat().st_size == 0:
        raise DamagedFile(f"{path}: an empty file", COPY)
    if not _is_safetensors(path):
        return read(path, COPY, FOREIGN)
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise DamagedFile(
            f"{path}: truncated or not a safetensors file ({first_sentence(error)})", COPY
        ) from error


def save_weights(weights: Weights, path: Path, *, half: bool = False) -> None:
    """Write a safetensors file, whole or not at all; `half`: in float16, but for what does not fit
    into its range (65,504), as a batch norm's running variance may not.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    with atomic(path) as beside:
        beside.write_bytes(save({key: _stored(value, half) for key, value in weights.items()}))


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    """On the CPU, in memory of its own: safetensors refuses tensors that share memory and those
    whose channels are last."""
    value = tensor.detach().cpu()
    if half and value.dtype == torch.float32 and value.half().isfinite().all():
        return value.half().contiguous()
    return value.clone(memory_format=torch.contiguous_format)


def save_state(state: dict[str, Any], path: Path, former: Path | None = None) -> None:
    """Write the resume state, whole or not at all; the one before becomes `former`.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    write({**STATE.numbered, **state}, path, former)


def load_state(path: Path) -> dict[str, Any] | None:
    """The resume state, on the CPU; None where there is none.

    Raises:
        DamagedFile: it cannot be read.
    """
    if not path.exists():
        return None
    if not path.is_file():
        raise DamagedFile(f"{path}: no file, though it is called so", f"move {path} away")
    raw = read(path, AFRESH)
    if not isinstance(raw, dict) or "progress" not in raw:
        raise DamagedFile(f"{path}: not a resume state", AFRESH)
    STATE.refuse_others(path, raw.pop(STATE.key, None), "go on with the kd that began it")
    return raw


def _is_safetensors(path: Path) -> bool:
    """By its name, or by how it begins: eight bytes of length, then JSON."""
    if path.suffix == ".safetensors" or not path.is_file():
        return path.is_file()
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"
