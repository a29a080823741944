"""model.pt and the resume state: written whole, checked when read, never executing code."""

import argparse
import errno
import pickle
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch.serialization import MAGIC_NUMBER

from kdcli.core.errors import DamagedFile, KdError, UsageError
from kdcli.core.files import atomic
from kdcli.core.text import first_line
from kdcli.models.foreign.plain_values import harmless

SCHEMA = 1
"""Of model.pt's layout, under its key `kd`; another number is refused, not guessed at."""
AFRESH = "delete that file and repeat the command: its training starts afresh"
_ANOTHER = "copy it again; if kd made it, remove its folder and repeat the command"
_WHOSE = (
    "give a run folder or the model.pt of a kd run; for weights from elsewhere say whose they are: "
    "kd inspect {named}, --teacher {named}, --student {named}, kd export {path} --model NAME"
)

Weights = dict[str, torch.Tensor]
"""A state dict: tensors by their keys."""


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
        "kd": SCHEMA,
        "model": file.model,
        "state_dict": {k: v.detach().cpu() for k, v in file.state_dict.items()},
        "classes": list(file.classes),
        "recipe": file.recipe,
        "provenance": file.provenance,
    }
    _save(raw, path)


def load_model(path: Path) -> ModelFile:
    """Read a model.pt.

    Raises:
        DamagedFile: truncated, not kd's, of a newer kd, or holding code, which is never run.
    """
    # somebody else's weights are read as such, to be called what they are: not kd's, but no code
    raw = read_weights(path) if _is_safetensors(path) else _load(path, allowed=FOREIGN)
    if not isinstance(raw, dict) or "kd" not in raw:
        raise DamagedFile(
            f"{path}: a file of weights, but none that kd wrote (no model name or classes in it)",
            _WHOSE.format(named=quote(f"NAME={path}"), path=quote(str(path))),
        )
    if raw["kd"] != SCHEMA:
        raise DamagedFile(
            f"{path}: written in format {raw['kd']}, this kd reads {SCHEMA}",
            "pip install --upgrade kdcli",
        )
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
        raise DamagedFile(f"{path}: an empty file", _COPY)
    if not _is_safetensors(path):
        return _load(path, _COPY, FOREIGN)
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise DamagedFile(
            f"{path}: truncated or not a safetensors file ({_first_sentence(error)})", _COPY
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


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write the resume state, whole or not at all: a kill in between leaves the epoch before.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    _save(state, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The resume state, on the CPU; None where there is none.

    Raises:
        DamagedFile: it cannot be read.
    """
    if not path.is_file():
        return None
    raw = _load(path, AFRESH)
    if not isinstance(raw, dict):
        raise DamagedFile(f"{path}: not a resume state", AFRESH)
    return raw


def _save(raw: dict[str, Any], path: Path) -> None:
    with atomic(path) as beside, beside.open("wb") as file:
        writer = _Writer(file)
        try:
            torch.save(raw, writer)  # type: ignore[arg-type]  # it writes, and asks for no more
        except RuntimeError as error:  # torch's word for whatever the system refuses
            raise writer.refused or OSError(errno.EIO, "the system refuses to write") from error


class _Writer:
    """A file for torch.save, whose own error names a line of its source and not the disk."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.refused: OSError | None = None

    def write(self, content: bytes) -> int:
        """Into the file; what the system says to it is kept."""
        try:
            return self._file.write(content)
        except OSError as error:
            self.refused = error
            raise

    def flush(self) -> None:
        """As torch asks for."""
        self._file.flush()


def _load(path: Path, way_out: str = _ANOTHER, allowed: tuple[Any, ...] = ()) -> Any:
    """What torch.save wrote, on the CPU, without running any of it.

    `weights_only=True` is no better than torch: CVE-2025-32434 (fixed in 2.6) and CVE-2026-24747
    (in 2.10) broke it, so pyproject.toml's floor must not fall below them. `allowed` classes are so
    for this reading only.

    Raises:
        DamagedFile: damaged, something else, or holding code.
        UsageError: there is no such file.
    """
    try:
        _check_sums(path)
        _refuse_plain_pickle(path)
        with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is then refused in our words
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _is_pickle(path):
            raise DamagedFile(f"{path}: not a PyTorch file", way_out) from error
        raise DamagedFile(
            f"{path}: refused, it holds more than weights ({_first_sentence(error)}); "
            "nothing in it was run",
            _PLAIN,
        ) from error
    except KdError:
        raise
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file", "kd list runs") from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, *_ODD) as error:
        if "TorchScript" in str(error):
            raise DamagedFile(
                f"{path}: refused, a TorchScript file holds a program; nothing in it was run",
                _PLAIN,
            ) from error
        raise DamagedFile(
            f"{path}: truncated or not a PyTorch file{_reason(error)}",
            way_out,
        ) from error


FOREIGN = (
    argparse.Namespace,  # timm's training checkpoints keep their flags in one
    *harmless(),
)
"""What a file of weights may hold beside tensors: plain values, which hold no code."""

_COPY = "copy or download it again, or ask its maker"
_STATE_DICT = (
    "ask its maker for its state_dict alone, as written by torch.save(model.state_dict(), FILE)"
)
_PLAIN = f"it holds code; {_STATE_DICT}"
_ODD = (AttributeError, TypeError, zipfile.BadZipFile)
"""What torch raises for files that are something else altogether."""


def _is_safetensors(path: Path) -> bool:
    """By its name, or by how it begins: eight bytes of length, then JSON."""
    if path.suffix == ".safetensors" or not path.is_file():
        return path.is_file()
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _check_sums(path: Path) -> None:
    """torch reads a flipped bit without a word; the zip around the weights has a CRC of each."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if (broken := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{broken} has changed since it was written")


def _refuse_plain_pickle(path: Path) -> None:
    """torch's own begin with a number of its choice, or are a zip.

    Asked first: what torch says of other pickles would be told as code, and they may hold none.
    """
    with path.open("rb") as file:
        head = file.read(32)
    # torch's older format begins with its magic number, pickled: ten bytes, little end first
    if head[:1] == pickle.PROTO and MAGIC_NUMBER.to_bytes(10, "little") not in head:
        raise DamagedFile(
            f"{path}: refused, a pickle that torch did not write; nothing in it was run",
            _STATE_DICT,
        )


def _is_pickle(path: Path) -> bool:
    """torch's archives and plain pickles; what is neither cannot hold code."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(path) or file.read(1) == pickle.PROTO


def _reason(error: Exception) -> str:
    """In brackets; a look-up that failed tells a reader nothing."""
    return "" if isinstance(error, LookupError) else f" ({_first_sentence(error)})"


def _first_sentence(error: Exception) -> str:
    """Of the line that names what torch refused, else of the first; 160 characters at most."""
    named = (line for line in str(error).splitlines() if "Unsupported" in line or "GLOBAL" in line)
    return next(named, first_line(error)).strip().split(". ")[0][:160]
