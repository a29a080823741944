"""Work over many images, spread over threads: files are waited for, and decoders free Python.

Threads, not processes: nothing has to be pickled, and they start at once.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Progress

T = TypeVar("T")

WORTH_A_BAR = 5000
"""Images that take long enough to be waited for: 19 s to decode so many photographs on one core."""
CHUNK = 64
"""Images in one piece of work: few futures, and an interrupt is not kept waiting."""
WAITING = 8
"""Threads for work that waits for a disk, per core."""


def spread(
    count: int, work: Callable[[int], T], progress: Progress, label: str, per_core: int = 1
) -> list[T]:
    """`work(i)` for all i below `count`, in order; a bar where that takes long.

    What `work` raises is raised, and what was not begun is given up. `per_core` is 1 for work that
    computes, `WAITING` for work that waits.
    """
    # 32 at most, as Python's own default has it
    pool = ThreadPoolExecutor(min(32, per_core * usable_cores()))

    def piece(start: int) -> list[T]:
        return [work(i) for i in range(start, min(start + CHUNK, count))]

    try:
        pieces = pool.map(piece, range(0, count, CHUNK))
        results: Iterable[T] = chain.from_iterable(pieces)
        if count >= WORTH_A_BAR:
            results = progress.track(results, count, label)
        return list(results)
    finally:  # Ctrl-C, too: at most one piece a thread is finished
        pool.shutdown(cancel_futures=True)
