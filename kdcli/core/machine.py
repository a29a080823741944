"""The machine that kd runs on, in words: processor, cores, memory, operating system."""

import ctypes
import os
import platform
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

LOOKED_AT_SECONDS = 0.02
"""Between two looks at the memory; what comes and goes in less may be missed."""


def machine() -> str:
    """`AMD EPYC 9R14, 2 cores, Linux 6.18`, on one line."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def processor() -> str:
    """`AMD EPYC 9R14`; on systems that do not say, the architecture.

    Measured latencies are kept under this name (`plan/students.py`).
    """
    # ARM's cpuinfo has no "model name", macOS and Windows have no cpuinfo
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine()


def lacks_vnni() -> bool:
    """Whether this is an x86 processor without dot products of bytes; False where nobody says.

    Such a one adds the products of unsigned and signed bytes pair by pair in 16 bits, where two of
    them can overflow. Its int8 files get weights of 7 bits (`deploy/quantization.py`).
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return bool(flags) and not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(flags)


def own_kind() -> Literal["x86", "arm"]:
    """Which family of processors this one is of: `aarch64` and `arm64` are "arm", whatever else
    is "x86". `kd export --target` knows these two."""
    return "arm" if platform.machine().lower().startswith(("arm", "aarch")) else "x86"


def boot_id() -> str:
    """This machine since it was started, all its containers included; where the system does not
    name that, the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return f"{uuid.getnode()} {platform.node()}"


def process_lives(number: int) -> bool:
    """Whether there is a process of this number, whoever's it is."""
    import psutil

    return bool(psutil.pid_exists(number))


@contextmanager
def watched_memory() -> Iterator[Callable[[], int]]:
    """Hands out a function that says the most memory this process has had meanwhile, in bytes.

    Resident memory, of this process alone: not a GPU's, and not that of processes it starts. A
    thread looks at it, as the most is reached inside torch, between two lines of Python; the
    system's own maximum (ru_maxrss) is that of the process's whole life, and Windows has none.
    """
    import psutil

    process, done, most = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while True:
            most[0] = max(most[0], int(process.memory_info().rss))
            if done.wait(LOOKED_AT_SECONDS):
                return

    watcher = threading.Thread(target=watch, daemon=True)  # no process waits for it
    watcher.start()
    try:
        yield lambda: most[0]
    finally:
        done.set()
        watcher.join()


PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # opened before anybody forks


def end_with_parent() -> None:
    """Between fork and exec of a child: SIGTERM reaches it when its parent is gone, whatever became
    of that; Linux alone knows how."""
    if _LIBC:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def resident_bytes(number: int) -> int:
    """Of a process and those that it has started; 0 where it is gone."""
    import psutil

    try:
        process = psutil.Process(number)
        everyone = [process, *process.children(recursive=True)]
        return sum(int(one.memory_info().rss) for one in everyone)
    except psutil.Error:
        return 0


def addressable_bytes() -> int | None:
    """How many bytes of addresses this process may have (`ulimit -v`); None: as many as there
    are."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if most == resource.RLIM_INFINITY else most


def free_memory_bytes() -> int:
    """What is left for new work, what the system would clear from its file cache included."""
    import psutil

    return int(psutil.virtual_memory().available)


def memory_bytes() -> int:
    """All of the machine's memory, used or not."""
    import psutil

    return int(psutil.virtual_memory().total)
