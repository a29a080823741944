"""Whole files or none: atomic writes, locks, sums, and what the disk refuses, in words."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kdcli.errors import DiskError, InUse

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and the surrogates that stand for bytes which are no UTF-8."""


def shown(name: object) -> str:
    """A name of a file or class as it can be printed and written as UTF-8, on one line."""
    return _UNPRINTABLE.sub(lambda sign: ascii(sign[0])[1:-1], str(name))


def cache_folder() -> Path:
    """What kd keeps between runs: `$KD_CACHE`, else `.cache/kd` in the home folder."""
    given = os.environ.get("KD_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "kd"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A name to write to; what was written there appears at `path` whole, or not at all.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
    finally:
        with suppress(OSError):  # what went wrong before matters more
            beside.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """The system's refusals to write, in words."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written ({error.strerror or error})",
            "free some space or give another place with --out or KD_RUNS",
        ) from error


def write_text(path: Path, text: str) -> None:
    """A whole text file, or none."""
    with atomic(path) as beside:
        beside.write_text(text, "utf-8")


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Only one kd at a time works in a run folder; the lock dies with its process.

    Raises:
        InUse: another one does.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        guard = FileLock(path / ".lock")
        try:
            guard.acquire(timeout=0)
        except Timeout as error:
            raise InUse(
                f"{path}: another kd is working in this run folder",
                "wait until it is done, or give --out another folder",
            ) from error
    try:
        yield
    finally:
        guard.release()
        if [entry.name for entry in path.iterdir()] == [".lock"]:  # nothing came of it
            (path / ".lock").unlink()
            path.rmdir()
