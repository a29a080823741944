"""Whole files or none: atomic writes, sums, and what the disk refuses, in words.

A kd that is killed here leaves the earlier file or the new one, and at most a left-over that the
next writer of that file clears away (`unfinished`). Tried with SIGKILL before every open, fsync,
rename and unlink of distill and evaluate: the same command, repeated, came to the same bytes.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kdcli.core.errors import DiskError
from kdcli.core.unfinished import beside, clear, remove

FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk, or this user's quota of it
HANDLES, MORE_HANDLES = (errno.EMFILE, errno.ENFILE), "allow more open files: ulimit -n 4096"
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""How a system refuses to write."""
HOMELESS = Path("/")
"""What containers call the home of a user without a name."""


def cache_folder() -> Path:
    """What kd keeps between runs: `$KD_CACHE`, else `.cache/kd` in the home folder."""
    if given := os.environ.get("KD_CACHE"):
        return Path(given).expanduser()
    try:
        return Path.home() / ".cache" / "kd"
    except RuntimeError:  # no HOME, and no entry in the system's list of users
        return HOMELESS / ".cache" / "kd"


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: of a folder that is not made yet, whose
    disk it will be on."""
    place = folder.resolve()
    return next(each for each in (place, *place.parents) if each.exists())


@contextmanager
def atomic(path: Path, former: Path | None = None) -> Iterator[Path]:
    """A name to write to; what was written there appears at `path` whole, or not at all.

    The earlier file becomes `former`; at each moment one of the two is there. Folders on the way
    are made. Whatever is raised inside leaves the earlier file as it was; an OSError among it comes
    out as a DiskError, so only writing belongs inside.

    Raises:
        DiskError: full, read-only, or no permission; a device stands there.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DiskError(f"{path}: a device, or a pipe", "give a file's name")
    new = beside(path)
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            clear(path)
            if former and path.is_file():
                former.unlink(missing_ok=True)  # room for the new one
            yield new
            # A system may put the new name on the disk before the bytes, and a power cut between
            # would leave an empty file; and the removal of another file (state.pt) before the new
            # name (model.pt), which would leave neither.
            _flush(new)
            if former and path.is_file():
                path.replace(former)
            new.replace(path)
            _flush_folder(path.parent)
    finally:
        remove(new)  # quietly: what went wrong before matters more


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder to write into, of files alone; it appears at `path` whole, in place of the one
    that is there (whatever is in that goes), or not at all.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    new, former = beside(path), beside(path, former=True)
    try:
        with disk_errors(path):
            clear(path)
            new.mkdir(parents=True)
            yield new
            for file in new.iterdir():
                _flush(file)
            _flush_folder(new)
            # Python cannot exchange two folders in one step, nor put one in the place of another
            # that is not empty: the former steps aside, and back if the new one is refused.
            if path.is_dir():
                path.replace(former)
            try:
                new.replace(path)
            except OSError:
                if former.is_dir():
                    former.replace(path)
                raise
            _flush_folder(path.parent)
    finally:
        remove(new)
        remove(former)


@contextmanager
def atomic_pair(path: Path, companion: Path) -> Iterator[Path]:
    """A name in a folder of its own, like `atomic`, for a file that may have a companion there.

    Both appear together, under their names; a companion that is not written again goes. Where there
    was or is one, `path` is away for a moment: it never stands beside another's companion.

    For model.onnx, which above 2 GB keeps its weights in a model.onnx.data that it names.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    folder = beside(path)
    try:
        with disk_errors(path):
            clear(path)
            folder.mkdir(parents=True)
            yield folder / path.name
            # the companion first: it may lie there alone, but `path` not without it
            written = [f for f in (companion, path) if (folder / f.name).exists()]
            for file in written:
                _flush(folder / file.name)
            if companion in written or companion.exists():
                path.unlink(missing_ok=True)
                companion.unlink(missing_ok=True)
            for file in written:
                (folder / file.name).replace(file)
            _flush_folder(path.parent)
    finally:
        remove(folder)


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """The names in it, where the system can: Windows cannot, nor a folder that may not be read."""
    with suppress(PermissionError):
        place = os.open(path, os.O_RDONLY)
        try:
            os.fsync(place)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
                raise
        finally:
            os.close(place)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """The system's refusals to write, in words: any OSError inside becomes a DiskError."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written ({error.strerror or error})", way_out(error)
        ) from error


def way_out(error: OSError, elsewhere: str = "give another place with --out or KD_RUNS") -> str:
    """What to do where the system refuses to write."""
    if error.errno in FULL:
        return f"free some space, or {elsewhere}"
    if error.errno == errno.EFBIG:
        return f"allow larger files (ulimit -f), or {elsewhere}"
    if error.errno in FORBIDDEN:
        return f"allow kd to write there (its permissions, its mount), or {elsewhere}"
    return MORE_HANDLES if error.errno in HANDLES else elsewhere


def write_text(path: Path, text: str) -> None:
    """A whole text file, or none; names that are not UTF-8 keep their bytes as `\\udcff`.

    In JSON that is an escape: such a name is read back as it was. Raises DiskError as `atomic`.
    """
    with atomic(path) as new:
        new.write_text(text, "utf-8", "backslashreplace")


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal; read in pieces, whatever its size.

    Raises:
        OSError: it is gone, or cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def probe(folder: Path) -> None:
    """Find out now, not after an epoch, whether a folder can be made and written to.

    Permissions tell nothing of a quota or a full disk, so a file is written and flushed; it goes
    again, and so do the folders that were made for it.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    # the innermost first, as they are removed
    made = [f for f in (folder, *folder.parents) if not f.exists()]
    new = beside(folder / "probe")
    try:
        with disk_errors(folder):
            for _ in range(2):  # another kd that probes may just have removed the folder
                folder.mkdir(parents=True, exist_ok=True)
                clear(folder / "probe")
                with suppress(FileNotFoundError):
                    new.write_bytes(bytes(PROBE_BYTES))
                    break
            _flush(new)
    finally:
        remove(new)
        with suppress(OSError):
            for each in made:
                each.rmdir()


PROBE_BYTES = 1 << 20
"""More than the small files of a run take; models are another matter."""
