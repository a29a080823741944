"""A forked copy of this process in which disks, memory, handles or rights are short."""

import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sklearn.datasets  # noqa: F401  # here, so that no child has to
import torch  # noqa: F401

LONGEST = 300
"""Seconds, after which a child that hangs is ended."""


def apart(work: Callable[[], Any]) -> Any:
    """What `work` gives in a child of its own; nothing that it changes outlasts it, but files.

    Forked: torch need not be imported once more. What it raises is raised here. The answer comes
    through a pipe, as there may be no room for a file.
    """
    mine, its = os.pipe()
    if (child := os.fork()) == 0:
        os.close(mine)
        _live(its, work)
    os.close(its)
    with open(mine, "rb") as answers:  # noqa: PTH123  # a descriptor
        told = answers.read()
    _, status = os.waitpid(child, 0)
    assert told, f"it said nothing, and ended with status {status}"
    wrong, found = pickle.loads(told)
    if wrong:
        pytest.fail(wrong)
    return found


def _live(answers: int, work: Callable[[], Any]) -> None:
    """All that a child does; it never returns into pytest."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LONGEST)
        try:
            found = "", work()
        except BaseException:
            found = traceback.format_exc(), None
        told = memoryview(pickle.dumps(found))
        while told:
            told = told[os.write(answers, told) :]
    finally:
        os._exit(0)


# Disks -------------------------------------------------------------------------------------------

NEW_MOUNTS, READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 0x20000, 1, 32, 4096, 16384, 1 << 18
"""Of <sched.h> and <sys/mount.h>."""


def small_disk(place: Path, size: int) -> None:
    """An empty disk of so many bytes at `place`; it goes with the process."""
    place.mkdir(exist_ok=True)
    _own_mounts()
    _mount("none", place, "tmpfs", 0, f"size={size}")


def read_only(place: Path) -> None:
    """What lies there can be read, and nothing written."""
    _own_mounts()
    _mount(str(place), place, "", BIND)
    _mount("none", place, "", BIND | REMOUNT | READ_ONLY)


@cache
def may_mount() -> bool:
    """Whether this user may."""

    def may() -> bool:
        try:
            _own_mounts()
        except OSError:
            return False
        return True

    return sys.platform == "linux" and bool(apart(may))


def _own_mounts() -> None:
    """What is mounted from now on nobody else sees."""
    _libc("unshare", NEW_MOUNTS)
    _mount("none", Path("/"), "", RECURSIVE | PRIVATE)


def _mount(what: str, place: Path, kind: str, flags: int, options: str = "") -> None:
    _libc("mount", what.encode(), bytes(place), kind.encode(), flags, options.encode())


def _libc(name: str, *arguments: Any) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


# Limits and rights -------------------------------------------------------------------------------

_CAPABILITIES_VERSION_3 = 0x20080522


def limited(kind: str, most: int) -> None:
    """At most so much of `FSIZE`, `NOFILE`, ... of `ulimit`, in its unit."""
    import resource

    number = getattr(resource, f"RLIMIT_{kind}")
    resource.setrlimit(number, (most, resource.getrlimit(number)[1]))


def more_memory(more: int) -> None:
    """So many bytes of addresses beside those that are taken."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limited("AS", pages * os.sysconf("SC_PAGE_SIZE") + more)


def without_rights() -> None:
    """root as anybody else: what a file's mode forbids is forbidden."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION_3, 0)
    _libc("capset", header, (ctypes.c_uint32 * 6)())


def forbid(folder: Path, folders: int = 0o500, files: int = 0o400) -> None:
    """These modes for a folder and all that lies in it."""
    for one in (*folder.rglob("*"), folder):
        one.chmod(folders if one.is_dir() else files)
