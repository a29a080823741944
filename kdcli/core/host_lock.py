"""Which host works in a folder that several share: `.holder` names it, where a network disk keeps
the kernel's locks from one host to another.

Whoever comes here has the kernel's lock already (`lock.py`): what this host itself left behind
was left by a kill, and is taken at once. Another host's is touched every `BEAT` seconds; untouched
for `DEAD`, that host is taken for dead. The file server dates both the touch and the question, so
hosts may differ in their clocks (Lustre and SMB date by the host's: within minutes, there).
"""

import errno
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kdcli.core.errors import ExitCode, InUse
from kdcli.core.json_text import from_json
from kdcli.core.machine import boot_id
from kdcli.core.text import duration
from kdcli.core.unfinished import beside, clear, remove

HOLDER = ".holder"
LOCKS = (".lock", HOLDER)
"""What lies in a folder that is worked in."""
BEAT, DEAD = 30.0, 600.0
"""Seconds between two signs of life, and without one."""
_LOOK_AGAIN = 0.5
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Holder:
    """Who works in a folder."""

    host: str = field(default_factory=platform.node)
    boot: str = field(default_factory=boot_id)
    """Of that host since it was started: containers on it are of one kernel, and of one lock."""
    pid: int = field(default_factory=os.getpid)
    token: str = field(default_factory=lambda: secrets.token_hex(8))


@contextmanager
def held(folder: Path, wait: float, mine: Holder | None = None) -> Iterator[None]:
    """No other host works in `folder`; one that does is waited for, `wait` seconds.

    If another takes it over all the same (this process slept for longer than `DEAD`), the process
    ends at once, as two must not write into one run.

    Raises:
        InUse: another host does.
        OSError: nothing can be written there.
    """
    mine, file, done = mine or Holder(), folder / HOLDER, threading.Event()
    _take(file, mine, wait)
    beat = threading.Thread(target=_beat, args=(file, mine, done), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        with suppress(OSError):
            if _read(file) == mine:
                file.unlink()


def is_held(folder: Path) -> bool:
    """Whether another host works there; asked with the kernel's lock held."""
    other = _read(folder / HOLDER)
    return other is not None and not _is_gone(folder / HOLDER, other, boot_id())


def _take(file: Path, mine: Holder, wait: float) -> None:
    end = time.monotonic() + wait
    clear(file)
    while (other := _read(file)) or not _create(file, mine):
        if other is None:  # somebody was faster
            continue
        if _is_gone(file, other, mine.boot):
            _clear_away(file, other)
        elif time.monotonic() < end:
            time.sleep(_LOOK_AGAIN)
        else:
            raise InUse(
                f"{file.parent}: kd on host {other.host} (process {other.pid}) is working in this "
                f"run folder, last heard of {duration(_silence(file))} ago",
                "wait until it is done, or give --out another folder; if that host has died, "
                f"remove {file}, or wait: {duration(DEAD)} after it was last heard of, "
                "this command takes over",
            )


def _create(file: Path, mine: Holder) -> bool:
    """Put `mine` there, whole, unless there is one."""
    new, text = beside(file), json.dumps(asdict(mine))
    try:
        new.write_text(text, "utf-8")
        os.link(new, file)  # one step on a network disk, too, as a rename is
    except FileExistsError:
        return _read(file) == mine  # a lost answer of the server is asked for again
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with suppress(FileExistsError), file.open("x", encoding="utf-8") as opened:
            opened.write(text)
            return True
        return False
    finally:
        remove(new)
    return True


def _read(file: Path) -> Holder | None:
    try:
        return Holder(**from_json(file.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # half-written where there are no links, or a newer kd's
        return Holder("unknown", "", 0, "")


def _is_gone(file: Path, other: Holder, boot: str) -> bool:
    return other.boot == boot or _silence(file) > DEAD


def _silence(file: Path) -> float:
    """Seconds since the last sign of life, both ends by the file server's clock."""
    clock = file.with_name(".lock")
    clock.touch()
    with suppress(FileNotFoundError), file.open("rb") as opened:  # opening asks the server anew
        return max(0.0, clock.stat().st_mtime - os.fstat(opened.fileno()).st_mtime)
    return 0.0


def _clear_away(file: Path, dead: Holder) -> None:
    """Remove what a dead one left, and nothing else: another host may have been faster, and have
    taken the folder a moment ago."""
    aside = beside(file, former=True)
    try:
        file.rename(aside)
    except FileNotFoundError:
        return
    if _read(aside) != dead:
        with suppress(OSError):
            os.link(aside, file)
    remove(aside)


def _beat(file: Path, mine: Holder, done: threading.Event) -> None:
    while not done.wait(BEAT):
        with suppress(OSError):  # the server is away for a while
            if (now := _read(file)) not in (mine, None):
                _leave(f"{file.parent}: kd on host {now.host} has taken over this run")
            os.utime(file)


def _leave(why: str) -> None:
    os.write(2, f"error: {why}\n".encode())
    os._exit(ExitCode.IN_USE)
