"""Whole files or none: atomic writes, locks, sums, and what the disk refuses, in words.

A kd that is killed here leaves the earlier file or the new one, and at most a left-over that the
next writer of that file clears away (`unfinished`). Tried with SIGKILL before every open, fsync,
rename and unlink of distill and evaluate: the same command, repeated, came to the same bytes.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kdcli.core import host_lock
from kdcli.core.errors import DiskError, InUse
from kdcli.core.unfinished import beside, clear, remove

FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk, or this user's quota of it
HANDLES, MORE_HANDLES = (errno.EMFILE, errno.ENFILE), "allow more open files: ulimit -n 4096"
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""How a system refuses to write."""


HOMELESS = Path("/")  # what containers call the home of a user without a name


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
def atomic(path: Path) -> Iterator[Path]:
    """A name to write to; what was written there appears at `path` whole, or not at all.

    Folders on the way are made. Whatever is raised inside leaves the earlier file as it was; an
    OSError among it comes out as a DiskError, so only writing belongs inside.

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
            yield new
            # Flushed first: a system may put the new name on the disk before the bytes, and a
            # power cut between would leave an empty file. The folder is not flushed: at worst the
            # name still leads to the earlier file, and that is whole.
            _flush(new)
            new.replace(path)
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
    finally:
        remove(folder)


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())


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
                with suppress(FileNotFoundError):
                    new.write_bytes(bytes(PROBE_BYTES))
            _flush(new)
    finally:
        remove(new)
        with suppress(OSError):
            for each in made:
                each.rmdir()


PROBE_BYTES = 1 << 20
"""More than the small files of a run take; models are another matter."""


@contextmanager
def lock(path: Path, wait: float = 0.5) -> Iterator[None]:
    """Only one kd at a time works in a run folder; the lock dies with its process.

    The system holds it (flock), not the file: a `.lock` that lies there says nothing, and after a
    kill nobody has to clear it up. Other hosts are kept off by `host_lock`. A folder that is empty
    in the end goes with its lock, so that a training that was refused leaves none.

    `wait` is for how many seconds another one is waited for; half a second is more than `in_use`
    holds the lock for when another kd lists the runs.

    Raises:
        InUse: another one does.
        DiskError: no folder can be made there, or none that can be locked.
    """
    with disk_errors(path):
        guard = _acquire(path, wait)
    try:
        with ExitStack() as hosts:
            with disk_errors(path):
                hosts.enter_context(host_lock.held(path, wait))
            yield
    finally:
        empty = _is_empty(path)  # nothing came of it
        unlinked = empty and _unlink(path / ".lock")  # while held: who waits takes a new one
        guard.release()
        if empty:
            with suppress(OSError):  # somebody has come
                if not unlinked:  # Windows keeps a file that is held
                    _unlink(path / ".lock")
                path.rmdir()


def _acquire(path: Path, wait: float) -> FileLock:
    # again where the folder went meanwhile, but not for ever: something else may be removing it
    for _ in range(3):
        path.mkdir(parents=True, exist_ok=True)
        guard = FileLock(path / ".lock")
        try:
            guard.acquire(timeout=wait)
        except FileNotFoundError:  # the one that was waited for has removed its folder
            continue
        except Timeout as error:
            raise InUse(
                f"{path}: another kd is working in this run folder",
                "wait until it is done, or give --out another folder",
            ) from error
        except NotImplementedError as error:  # filelock 3; 4 makes do with a file of its own
            raise OSError(errno.ENOLCK, "this file system knows no locks") from error
        return guard
    raise OSError(errno.ENOENT, "it is removed again and again")


def _is_empty(path: Path) -> bool:
    try:
        return {entry.name for entry in path.iterdir()} <= {".lock"}
    except OSError:
        return False


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def in_use(path: Path) -> bool:
    """Whether another kd works in this folder; nothing is made there to find out.

    False where nobody can tell, as of a folder that this user may not write to.
    """
    if not (path / ".lock").is_file():
        return False
    guard = FileLock(path / ".lock")
    try:
        guard.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    try:
        return host_lock.is_held(path)
    except OSError:
        return False
    finally:
        guard.release()
