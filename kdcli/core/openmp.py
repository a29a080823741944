"""How many threads arithmetic takes, and how they wait for each other, before torch is loaded.

torch's wheels bring GNU's libgomp on Linux, LLVM's libomp on macOS and Intel's libiomp5 on Windows.
All three read the environment once, when they are loaded.
"""

import os
import re
from pathlib import Path

from kdcli.core.errors import UsageError
from kdcli.core.world import launched_as

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""What says how threads wait: to all of them, to libgomp, to libomp and libiomp5."""
BRIEFLY = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
"""About a third of a millisecond, and one; the gaps between a step's operations are shorter."""
GROUP = Path("/sys/fs/cgroup")
"""Where a container finds what it is given."""


def wait_briefly() -> None:
    """Threads that have nothing to do soon sleep, where nobody has said otherwise.

    As they come they spin for some milliseconds (libgomp's 300,000 turns, 200 ms of the others),
    and so keep a core from whoever has work for it: where cores are shared, a step of a small model
    took up to 35 times as long. Without any spinning an idle machine would lose: they are woken
    hundreds of times in a step.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ |= BRIEFLY


def wanted_threads() -> int | None:
    """What `$KD_THREADS` says, else `$OMP_NUM_THREADS`; None: nobody has said.

    Raises:
        UsageError: `$KD_THREADS` is no number.
    """
    if said := os.environ.get("KD_THREADS", "").strip():
        if not re.fullmatch(r"[1-9]\d{0,3}", said):
            raise UsageError(
                f"KD_THREADS={said}: not a number of threads",
                "1 suits small models and shared machines; unset, each training chooses",
            )
        return int(said)
    # a list is one number for each level of nesting; what is no number, OpenMP passes over, too
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if re.fullmatch(r"[1-9]\d{0,3}", first) else None


def usable_cores() -> int:
    """Of how many cores this process has the time: at most those that it may run on, what its
    container is given (`docker run --cpus=2` on a machine of 64), and `$KD_CORES`, its share where
    several kds work beside each other; of processes that train together each has its part."""
    pinned = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
    cores = len(pinned(0)) if pinned else os.cpu_count() or 1
    share = os.environ.get("KD_CORES", "")
    most = int(share) if share.isdecimal() and int(share) else cores
    most = min(cores, most, round(_quota(GROUP) or cores))
    return max(1, most // launched_as().local_size)


def _quota(group: Path) -> float | None:
    """Cores' worth of time that a container has, by version 2 of control groups or version 1."""
    try:
        if (both := group / "cpu.max").exists():
            quota, period = both.read_text("ascii").split()
        else:
            quota = (group / "cpu" / "cpu.cfs_quota_us").read_text("ascii")
            period = (group / "cpu" / "cpu.cfs_period_us").read_text("ascii")
        return int(quota) / int(period) if quota.strip() not in ("max", "-1") else None
    except (OSError, ValueError):
        return None
