"""What torch.save writes: written whole, looked at before it is read, never executing code."""

import errno
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch.serialization import MAGIC_NUMBER

from kdcli.core.disk_space import needing
from kdcli.core.errors import DamagedFile, KdError, UsageError
from kdcli.core.files import atomic
from kdcli.core.text import first_line

_ANOTHER = "copy it again; if kd made it, remove its folder and repeat the command"
COPY = "copy or download it again, or ask its maker"
_STATE_DICT = (
    "ask its maker for its state_dict alone, as written by torch.save(model.state_dict(), FILE)"
)
_PLAIN = f"it holds code; {_STATE_DICT}"
ROOM = 1 << 26
"""Bytes that a tensor, or what is unpacked, may take beyond those in the file: some hold the same
number often, and TorchScript packs its code."""
_ODD = (AttributeError, TypeError, zipfile.BadZipFile)
"""What torch raises for files that are something else altogether."""


def write(raw: dict[str, Any], path: Path, former: Path | None = None) -> None:
    """Whole, or not at all; the earlier file becomes `former`.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    with needing(bytes_of(raw)), atomic(path, former) as beside, beside.open("wb") as file:
        writer = _Writer(file)
        try:
            torch.save(raw, writer)  # type: ignore[arg-type]  # it writes, and asks for no more
        except RuntimeError as error:  # torch's word for whatever the system refuses
            raise writer.refused or OSError(errno.EIO, "the system refuses to write") from error


def bytes_of(raw: Any) -> int:
    """Of all tensors in it, at any depth."""
    if isinstance(raw, torch.Tensor):
        return raw.nbytes
    inside = raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list | tuple) else ()
    return sum(map(bytes_of, inside))


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


def read(path: Path, way_out: str = _ANOTHER, allowed: tuple[Any, ...] = ()) -> Any:
    """What torch.save wrote, on the CPU, without running any of it.

    `weights_only=True` is no better than torch: CVE-2025-32434 (fixed in 2.6) and CVE-2026-24747
    (in 2.10) broke it, so pyproject.toml's floor must not fall below them. `allowed` classes are so
    for this reading only.

    Raises:
        DamagedFile: damaged, something else, larger than it looks, or holding code.
        UsageError: there is no such file.
    """
    try:
        _check_sums(path)
        _refuse_plain_pickle(path)
        with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is then refused in our words
            raw = torch.load(path, map_location="cpu", weights_only=True)
        _refuse_expanded(raw, path)
        return raw
    except pickle.UnpicklingError as error:
        if not _is_pickle(path):
            raise DamagedFile(f"{path}: not a PyTorch file", way_out) from error
        raise DamagedFile(
            f"{path}: refused, it holds more than weights ({first_sentence(error)}); "
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


def refuse_damaged(path: Path, way_out: str) -> None:
    """Return if it is whole, by its sums; nothing of it is kept.

    Raises:
        DamagedFile: cut, changed, or something else.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("no end of an archive")
        _check_sums(path)
    except (OSError, RuntimeError, ValueError, *_ODD) as error:
        raise DamagedFile(
            f"{path}: truncated or not a PyTorch file{_reason(error)}", way_out
        ) from error


def _check_sums(path: Path) -> None:
    """torch reads a flipped bit without a word; the zip around the weights has a CRC of each.

    It unpacks what is compressed, too, of which 3 MB may become 3 GB, and writes none of it.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            there, unpacked = path.stat().st_size, sum(e.file_size for e in archive.infolist())
            if unpacked > there + ROOM:
                raise DamagedFile(
                    f"{path}: refused, its {there:,} bytes would unpack to {unpacked:,}", COPY
                )
            if (broken := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{broken} has changed since it was written")


def _refuse_expanded(raw: Any, path: Path) -> None:
    """A stride of 0 makes any number of numbers of one: a copy of them fills the memory."""
    pending = [raw]
    while pending:
        one = pending.pop()
        if isinstance(one, torch.Tensor):
            claimed = one.numel() * one.element_size()
            strided = one.layout == torch.strided and not one.is_meta
            if not strided or claimed > one.untyped_storage().nbytes() + ROOM:
                shape = " x ".join(map(str, one.shape))
                raise DamagedFile(f"{path}: refused, it claims {shape} numbers and has fewer", COPY)
        elif isinstance(one, dict):
            pending += one.values()
        elif isinstance(one, list | tuple):
            pending += one


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
    return "" if isinstance(error, LookupError) else f" ({first_sentence(error)})"


def first_sentence(error: Exception) -> str:
    """Of the line that names what torch refused, else of the first; 160 characters at most."""
    named = (line for line in str(error).splitlines() if "Unsupported" in line or "GLOBAL" in line)
    return next(named, first_line(error)).strip().split(". ")[0][:160]
