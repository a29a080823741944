"""model.pt and the resume state: written whole, checked when read, never executing code."""

import errno
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from kdcli.errors import DamagedFile, KdError, UsageError
from kdcli.files import atomic

SCHEMA = 1
_AGAIN = "repeat the command with --again"
_ANOTHER = "copy it again; if kd made it, remove its folder and repeat the command"


@dataclass(frozen=True)
class ModelFile:
    """What model.pt holds: everything that is needed to use the model elsewhere."""

    model: dict[str, Any]
    """timm's name and arguments (`models.build.ModelArgs`), mean, std and input size included."""
    state_dict: dict[str, torch.Tensor]
    """Keys are timm's own."""
    classes: tuple[str, ...]
    recipe: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    """Data, seed, epochs, versions, ..."""


def save_model(file: ModelFile, path: Path) -> None:
    """Write model.pt, whole or not at all."""
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
    raw = _load(path)
    if not isinstance(raw, dict) or "kd" not in raw:
        raise DamagedFile(
            f"{path}: a PyTorch file, but none that kd wrote (no model name or classes in it)",
            "give a run folder or the model.pt of a kd run",
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


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write the resume state, whole or not at all."""
    _save(state, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The resume state, on the CPU; None where there is none.

    Raises:
        DamagedFile: it cannot be read.
    """
    if not path.is_file():
        return None
    raw = _load(path, _AGAIN)
    if not isinstance(raw, dict):
        raise DamagedFile(f"{path}: not a resume state", _AGAIN)
    return raw


def _save(raw: dict[str, Any], path: Path) -> None:
    with atomic(path) as beside, beside.open("wb") as file:
        try:
            torch.save(raw, file)
        except RuntimeError as error:  # torch's word for a full disk
            raise OSError(errno.EIO, f"is it full? {str(error).splitlines()[0]}") from error


def _load(path: Path, way_out: str = _ANOTHER) -> Any:
    try:
        _check_sums(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _is_pickle(path):
            raise DamagedFile(f"{path}: not a PyTorch file", way_out) from error
        raise DamagedFile(
            f"{path}: refused, it holds more than weights ({_first_line(error)}); "
            "nothing in it was run",
            "ask its maker for a file of plain weights",
        ) from error
    except KdError:
        raise
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file", "kd list runs") from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, *_ODD) as error:
        raise DamagedFile(
            f"{path}: truncated or not a PyTorch file ({_first_line(error)})",
            way_out,
        ) from error


_ODD = (AttributeError, TypeError, zipfile.BadZipFile)
"""What torch raises for files that are something else altogether."""


def _check_sums(path: Path) -> None:
    """torch reads a flipped bit without a word; the zip around the weights knows better."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if (broken := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{broken} has changed since it was written")


def _is_pickle(path: Path) -> bool:
    """torch's archives and plain pickles; what is neither cannot hold code."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(path) or file.read(1) == pickle.PROTO


def _first_line(error: Exception) -> str:
    for line in str(error).splitlines():
        if "Unsupported" in line or "GLOBAL" in line:
            return line.strip().split(". ")[0][:160]
    return (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0][:160]
