"""Only one kd at a time works in a folder."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kdcli.core import host_lock
from kdcli.core.errors import InUse
from kdcli.core.files import disk_errors
from kdcli.core.unfinished import is_leftover, remove_abandoned


@contextmanager
def lock(path: Path, wait: float = 0.5) -> Iterator[None]:
    """Only one kd at a time works in a run folder; the lock dies with its process.

    The system holds it (flock), not the file: a `.lock` that lies there says nothing, and after a
    kill nobody has to clear it up; what was half-written then goes. Other hosts are kept off by
    `host_lock`. A folder that is empty in the end goes with its lock, so that a training that was
    refused leaves none.

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
            _clear_leftovers(path)
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


def _clear_leftovers(path: Path) -> None:
    """What a kd that was killed in here has left half-written."""
    with suppress(OSError):
        for entry in path.iterdir():
            if is_leftover(entry.name):
                remove_abandoned(entry)


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
