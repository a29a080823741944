"""Names under which files are written before they are whole, and whether their writer still lives.

`.model.pt.4711-5d41402a-9f86d081.tmp`: process 4711 of the process space 5d41402a (this machine
since it was started, this container), and a number of its own. Process ids alone are not enough:
in two containers that share a disk both kds are number 1.
"""

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from kdcli.core.machine import boot_id, process_lives
from kdcli.core.text import cut

YOUNG = 3600.0
"""Seconds for which a file of another machine, which cannot be asked, is taken for being written:
since its last byte came."""
OLD = 86400.0
"""After so many the process of that number is taken for another one."""

_NAME = re.compile(r"\..+\.(\d+)(?:-([0-9a-f]{8})-[0-9a-f]{8})?\.tmp")
_ROOM = 255 - len(".former..4294967295-00000000-00000000.tmp")
"""Bytes of a name that most file systems leave to the name itself."""


def beside(path: Path, former: bool = False) -> Path:
    """A name of its own in the same folder, hidden; another one at each call.

    In the same folder, as a rename is one step only within one file system; hidden, so that nobody
    takes it for an image or a model. `former`: for what `path` has to make way for.
    """
    name = cut(path.name, _ROOM) + ".former" * former
    return path.with_name(f".{name}.{os.getpid()}-{_space()}-{secrets.token_hex(4)}.tmp")


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder in this one that goes again; what a killed kd left of it, the next one clears away.
    Raises OSError where none can be made."""
    clear(folder / "scratch")
    place = beside(folder / "scratch")
    place.mkdir()
    try:
        yield place
    finally:
        remove(place)


def is_leftover(name: str) -> bool:
    """Whether a file of this name is half-written: in the making, or left by a killed kd."""
    return _NAME.fullmatch(name) is not None


def is_abandoned(path: Path) -> bool:
    """Whether nobody writes on what `is_leftover`: its process is gone, or, where that cannot be
    told, nothing was written for an hour."""
    match = _NAME.fullmatch(path.name)
    assert match is not None, path
    try:
        age = time.time() - max(e.lstat().st_mtime for e in (path, *_inside(path)))
    except OSError:  # it has just become whole, or went
        return False
    if match[2] == _space():
        return age > OLD or not process_lives(int(match[1]))
    return age > YOUNG


def clear(path: Path) -> None:
    """Remove what killed kds left beside `path` when they wrote it."""
    name = re.escape(cut(path.name, _ROOM))
    mine = re.compile(rf"\.{name}(\.former)?\.\d+(-[0-9a-f]{{8}}){{0,2}}\.tmp")
    with suppress(OSError):  # no such folder, or it may not be read
        for entry in path.parent.iterdir():
            if mine.fullmatch(entry.name):
                remove_abandoned(entry)


def remove_abandoned(path: Path) -> None:
    """Remove what `is_leftover`, unless somebody may be writing on it."""
    if is_abandoned(path):
        remove(path)


def remove(path: Path) -> None:
    """A file or a folder, as far as that is allowed; of a link the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def bytes_of(path: Path) -> int:
    """On disk, of a file or of all in a folder; of a link the link."""
    return path.lstat().st_size + sum(entry.lstat().st_size for entry in _inside(path))


def _inside(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() and not path.is_symlink() else []


@cache
def _space() -> str:
    """Within which process ids are unique, in eight hexadecimal digits.

    Linux names its start and its process namespace; elsewhere the machine has to do, where a
    number that is taken again is told by the age.
    """
    known = boot_id()
    with suppress(OSError):
        known += f" {Path('/proc/self/ns/pid').readlink()}"
    return hashlib.sha256(known.encode()).hexdigest()[:8]
