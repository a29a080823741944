"""How many threads a training takes: what a few of its steps say, where nobody has said.

Small operations wait longer for each other's threads than they work, and for a thread that another
program keeps from its core all others wait. Decided before the first step and kept with the run,
as another number adds in another order: its last bits differ.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from kdcli.core.openmp import wanted_threads
from kdcli.core.progress import Progress
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec

Choose = Callable[[Spec], int | None]
"""How many threads suit a training; None: nobody knows."""

TURNS, STEPS = 5, 3
"""Each number of threads has so many turns, of so many steps that count."""
TRIAL_SECONDS = 2.0
"""After which a trial is over, when each number has had a turn."""
LONG, TOO_LONG = 0.3, 5.0
"""Seconds of a step that stands alone in its turn, and of one so long that fewer threads are not
tried: large operations share a core well."""
WORSE, HOPELESS = 1.25, (3.0, 1.5)
"""Times the best: long steps with fewer threads than these are not tried; no second turn, and no
third one."""
AS_FAST = 1.05
"""Times the best is as good: then fewer threads leave more to others."""


def nobody_knows(spec: Spec) -> int | None:
    """Of a site that was not planned: as many as torch takes."""
    return None


def numbers(device: torch.device, compiled: bool = False) -> tuple[int, ...]:
    """Of threads worth trying, the most first; one where there is no choice, and of compiled
    models, which are made for a number."""
    most = wanted_threads() or torch.get_num_threads()
    if wanted_threads() or device.type != "cpu" or compiled:
        return (most,)
    halves = [most >> i for i in range(most.bit_length())]
    return tuple(halves)


def in_turn(step: Callable[[], float], counts: Sequence[int]) -> dict[int, list[float]]:
    """Seconds of `step`s with so many threads, by that number, the most first; without those that
    are plainly slower.

    The numbers take turns, so that a neighbour who is busy meanwhile slows all of them. The first
    step of a turn does not count: threads are started, kernels prepared for their number.
    """
    found: dict[int, list[float]] = {count: [] for count in counts}
    racing, spent = list(counts), 0.0
    for turn in range(TURNS):
        for count in tuple(racing):
            best = min(map(min, filter(None, found.values())), default=0.0)
            if turn == 0 and _settled(found, best):
                racing = [one for one in racing if found[one]]
                break
            with using(count):
                spent += step() if best < LONG else 0.0
                for _ in range(STEPS):
                    found[count].append(step())
                    spent += found[count][-1]
                    if found[count][-1] > LONG:
                        break
        best = min(min(found[count]) for count in racing)
        limit = HOPELESS[min(turn, 1)] * best
        racing = [count for count in racing if min(found[count]) < limit]
        if len(racing) == 1 or spent > TRIAL_SECONDS:
            break
    return {count: found[count] for count in racing}


def _settled(found: Mapping[int, list[float]], best: float) -> bool:
    """Still fewer threads would only cost time: steps are long, and fewer were slower already."""
    last = next((seconds for seconds in reversed([*found.values()]) if seconds), [0.0])
    return best > TOO_LONG or (best > LONG and min(last) > WORSE * best)


def fewest_of_the_fast(found: Mapping[int, Sequence[float]]) -> int:
    """By medians: one hiccup counts for nothing, a busy neighbour for what he costs."""
    medians = {count: statistics.median(seconds) for count, seconds in found.items()}
    enough = AS_FAST * min(medians.values())
    return min(count for count, median in medians.items() if median <= enough)


@contextmanager
def using(count: int | None) -> Iterator[None]:
    """So many threads inside, as many as before behind; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_of(run: Run, spec: Spec, choose: Choose, again: bool, progress: Progress) -> int:
    """Those of a training that begins or goes on: what the environment says, else what it began
    with, else what is chosen."""
    begun, wanted = None if again else run.threads, wanted_threads()
    if wanted and begun and wanted != begun:
        progress.warn(
            f"{run.path}: begun with {begun} threads, goes on with {wanted}, as the environment "
            "says: the last bits of its weights will be others"
        )
    return wanted or begun or choose(spec) or torch.get_num_threads()
