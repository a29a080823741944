"""The machine that kd runs on, in words: processor, cores, memory, operating system."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """`AMD EPYC 9R14, 2 cores, 25 GB memory, Linux 6.18`."""
    system = f"{platform.system()} {platform.release()}"
    return f"{processor()}, {os.cpu_count()} cores, {memory_bytes() / 1e9:.0f} GB memory, {system}"


def processor() -> str:
    """`AMD EPYC 9R14`; on systems that do not say, the architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine()


def used_bytes() -> int:
    """This process's memory now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def free_memory_bytes() -> int:
    """What is left for new work."""
    import psutil

    return int(psutil.virtual_memory().available)


def memory_bytes() -> int:
    """All of the machine's memory, used or not."""
    import psutil

    return int(psutil.virtual_memory().total)
