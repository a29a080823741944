"""The machine that kd runs on, in words: processor, cores, memory, operating system."""

import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

LOOKED_AT_SECONDS = 0.02
"""Between two looks at the memory."""


def machine() -> str:
    """`AMD EPYC 9R14, 2 cores, Linux 6.18`, on one line."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def processor() -> str:
    """`AMD EPYC 9R14`; on systems that do not say, the architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine()


def lacks_vnni() -> bool:
    """Whether this is an x86 processor without dot products of bytes; False where nobody says."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return bool(flags) and not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(flags)


def own_kind() -> Literal["x86", "arm"]:
    """Which family of processors this one is of."""
    return "arm" if platform.machine().lower().startswith(("arm", "aarch")) else "x86"


@contextmanager
def watched_memory() -> Iterator[Callable[[], int]]:
    """Hands out a function that says the most memory this process has had meanwhile, in bytes."""
    import psutil

    process, done, most = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while True:
            most[0] = max(most[0], int(process.memory_info().rss))
            if done.wait(LOOKED_AT_SECONDS):
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: most[0]
    finally:
        done.set()
        watcher.join()


def free_memory_bytes() -> int:
    """What is left for new work."""
    import psutil

    return int(psutil.virtual_memory().available)


def memory_bytes() -> int:
    """All of the machine's memory, used or not."""
    import psutil

    return int(psutil.virtual_memory().total)
