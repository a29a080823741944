"""Work over many images, spread over threads: files are waited for, and decoders free Python.

Threads, not processes: nothing has to be pickled, and they start at once.
"""

import time
from collections.abc import Callable, Iterable, Iterator
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
QUICK = 50e-6
"""Seconds for an image, up to which threads hinder each other more than they help: of a disk that
has it in memory, a file's dates take 2 µs in one thread, 30 among sixteen."""
FEW, SLOW = 8, 4
"""Images that are timed together, and how often in a row they have to be slow: once is chance."""


def spread(
    count: int, work: Callable[[int], T], progress: Progress, label: str, per_core: int = 1
) -> list[T]:
    """`work(i)` for all i below `count`, in order; a bar where that takes long.

    What `work` raises is raised, and what was not begun is given up. `per_core` is 1 for work that
    computes, `WAITING` for work that waits. As long as it is quick, there are no threads.
    """
    # 32 at most, as Python's own default has it
    pool = ThreadPoolExecutor(min(32, per_core * usable_cores()))

    def piece(start: int, size: int = CHUNK) -> list[T]:
        return [work(i) for i in range(start, min(start + size, count))]

    def everything() -> Iterator[T]:
        start = slow = 0
        while start < count and slow < SLOW:
            begun = time.perf_counter()
            found = piece(start, FEW)
            slow = slow + 1 if time.perf_counter() - begun > QUICK * FEW else 0
            start += FEW
            yield from found
        yield from chain.from_iterable(pool.map(piece, range(start, count, CHUNK)))

    try:
        results: Iterable[T] = everything()
        if count >= WORTH_A_BAR:
            results = progress.track(results, count, label)
        return list(results)
    finally:  # Ctrl-C, too: at most one piece a thread is finished
        pool.shutdown(cancel_futures=True)
