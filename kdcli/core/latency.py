"""How long callables take, timed side by side, and which differences are more than noise."""

import gc
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from statistics import median
from time import perf_counter
from typing import NamedTuple, TypedDict, TypeVar

import numpy as np

Name = TypeVar("Name", bound=Hashable)
BLOCKS = 5
"""Into which the rounds are cut, to see how far two timings of the same thing drift apart: of 100
runs, the fewest of a measurement that has its time, each has 20."""
WINDOW = 10
"""Calls whose median tells whether a callable has become steady: what a `Burst` counts, so that two
bursts are compared, with everybody else's between them."""
STEADY = 0.02
"""By how much less than this it may change from one window to the next."""
WARM_UP = 0.25
"""Of the time of the timing: how long becoming steady may take. On a busy machine some never are,
and are timed all the same; `noise` then says what their figures are worth."""
FEWEST = 30
"""Runs, however long they take: three bursts."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds per call: the median, and what 90 and 99 of 100 calls stay under."""

    p50: float
    p90: float
    p99: float
    cold: float
    """The very first call, which is none of the others: memory is allocated and no cache is warm
    yet. A device that asks once in a while is nearer to this figure."""
    runs: int
    blocks: tuple[float, ...]
    """Medians of consecutive fifths of the runs, for `noise`; medians, as one interruption by the
    system would carry a mean away."""

    def shared(self, images: int) -> "Latency":
        """Per image, where a call is for several."""
        return replace(
            self,
            p50=self.p50 / images,
            p90=self.p90 / images,
            p99=self.p99 / images,
            cold=self.cold / images,
            blocks=tuple(block / images for block in self.blocks),
        )


class Burst(NamedTuple):
    """Runs in a row of one callable.

    Bursts took the place of single calls by turns, which ranked models by their neighbours' size:
    mobilenetv3_small_100 took 0.45 ms beside larger ones and 0.14 in bursts, and int8 was worth
    3.34x on resnet18 in place of 4.94x (docs/deploy.md, "What was measured").
    """

    settling: int = 5
    """First those that do not count: whoever ran before has left other data in the processor's
    caches, and a small model beside a large one would pay for that."""
    counted: int = 10


BURST = Burst()


class Bounds(TypedDict, total=False):
    """How long `latency` goes on, where not as long as it does by itself."""

    seconds: float
    min_runs: int
    max_runs: int | None
    patience: float


THOROUGH: Bounds = {"seconds": 60.0, "min_runs": 1024, "max_runs": None, "patience": math.inf}
"""At least 1,024 samples and 60 s: MLPerf Mobile's single stream (arXiv:2012.02328). Its patience
has no end: a slow model, too, gets all of its 1,024 runs."""


def latency(
    calls: Mapping[Name, Callable[[], object]],
    *,
    seconds: float = 2.0,
    min_runs: int = 100,
    max_runs: int | None = 500,
    patience: float = 3.0,
    burst: Burst = BURST,
    tell: Callable[[float], object] = lambda seconds: None,
) -> dict[Name, Latency]:
    """Time callables side by side, so that a machine that slows down slows all of them.

    The first call of each is timed apart. Then each round runs a `burst` of every callable, in an
    order drawn anew: first, uncounted, until each has been steady (`is_steady`) or a quarter of the
    time is gone; then until it is `enough`. All get the same number of runs.
    A callable must return only when its work is done (on CUDA: synchronise).

    By itself it takes 2 s for each callable, and 100 to 500 runs: `--latency quick`, which reports
    call indicative. `seconds`, `min_runs`, `max_runs`, `patience`: as `enough` has them. `tell`
    hears, after one round, how many seconds all of it will take (`expected`).
    """
    if not calls:
        return {}
    with _no_garbage_collection():
        cold = {name: _milliseconds(call) for name, call in calls.items()}
        warm_up = WARM_UP * seconds * len(calls)

        def once_through(mean: float) -> None:
            runs = expected(mean, seconds, min_runs, max_runs, patience)
            settling = 1 + burst.settling / burst.counted
            tell(runs * mean * len(calls) * settling + warm_up)

        _warm_up(calls, warm_up, burst, once_through)
        spent = next(
            spent
            for done, spent in enumerate(_rounds(calls, burst), 1)
            if enough(
                done * burst.counted,
                # on average: all have as many runs, so a large model has more of the time
                _seconds(spent) / len(calls),
                seconds,
                min_runs,
                max_runs,
                patience,
            )
        )
    return {name: _summary(cold[name], times) for name, times in spent.items()}


def enough(
    done: int,
    gone: float,
    seconds: float,
    min_runs: int,
    max_runs: int | None,
    patience: float,
) -> bool:
    """Whether so many runs, in `gone` seconds per callable, are a measurement.

    They last `seconds` and are at least `min_runs`; of slow callables fewer will do once
    `patience` times the seconds are gone, but FEWEST; they are never more than `max_runs`.
    """
    if max_runs is not None and done >= max_runs:
        return True
    if done >= min_runs:
        return gone >= seconds
    return done >= FEWEST and gone >= patience * seconds


def expected(
    mean: float, seconds: float, min_runs: int, max_runs: int | None, patience: float
) -> int:
    """How many runs of each will be `enough`, where one takes `mean` seconds on average."""
    runs = math.ceil(seconds / mean)
    if runs < min_runs:  # slow ones: until patience ends, at most as many as are wanted
        until = math.inf if math.isinf(patience) else math.ceil(patience * seconds / mean)
        runs = int(min(min_runs, max(FEWEST, until)))
    return runs if max_runs is None else min(runs, max_runs)


def is_steady(times: Sequence[float]) -> bool:
    """Whether the median of the last 10 calls is within 2% of that of the 10 before."""
    if len(times) < 2 * WINDOW:
        return False
    before, last = median(times[-2 * WINDOW : -WINDOW]), median(times[-WINDOW:])
    return abs(last - before) < STEADY * before


def noise(one: Latency, other: Latency) -> float:
    """How far two timings of the very same thing lie apart (A/A): of the ratios of their medians
    over five consecutive blocks of the same rounds, whichever way round, the largest minus 1.

    A block has a fifth of the rounds, so this is wider than the noise of the whole medians. That is
    the side to err on: a speed-up within it is not claimed (`beyond`). 0.03 means 3%.
    """
    pairs = zip(one.blocks, other.blocks, strict=True)
    return max(max(mine / theirs, theirs / mine) for mine, theirs in pairs) - 1


def beyond(ratio: float, noise: float | None) -> bool:
    """Whether a ratio of two times is farther from 1, either way, than the `noise` of timing one
    thing twice; never where nobody measured that."""
    # rounded: in floats 1.03 - 1 - 0.03 is above 0
    return noise is not None and round(max(ratio, 1 / ratio) - 1 - noise, 9) > 0


def block_medians(times: Sequence[float]) -> tuple[float, ...]:
    """Of `BLOCKS` consecutive parts of the times; of each time where there are fewer."""
    blocks = np.array_split(np.asarray(times), min(BLOCKS, len(times)))
    return tuple(float(np.median(block)) for block in blocks)


def _milliseconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return (perf_counter() - start) * 1e3


def _summary(cold: float, times: list[float]) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    return Latency(p50, p90, p99, cold, len(times), block_medians(times))


def _seconds(spent: Mapping[Name, Sequence[float]]) -> float:
    """All that was counted: what settles, or runs in between, is nobody's time."""
    return sum(map(sum, spent.values())) / 1e3


def _warm_up(
    calls: Mapping[Name, Callable[[], object]],
    seconds: float,
    burst: Burst,
    once_through: Callable[[float], object],
) -> None:
    """`once_through` hears, after the first round, how many seconds a call takes on average."""
    end, restless = perf_counter() + seconds, set(calls)
    for done, spent in enumerate(_rounds(calls, burst), 1):
        if done == 1:
            once_through(_seconds(spent) / burst.counted / len(calls))
        restless = {name for name in restless if not is_steady(spent[name])}
        if not restless or perf_counter() >= end:
            return


def _rounds(
    calls: Mapping[Name, Callable[[], object]], burst: Burst
) -> Iterator[dict[Name, list[float]]]:
    """All times so far, after each round; who runs after whom changes.

    Rounds that begin with another one each time were tried first: nearly always each then ran after
    the same one, and had that one's caches in its figures.
    """
    names, order = list(calls), Random(0)  # the same orders in every measurement
    spent: dict[Name, list[float]] = {name: [] for name in names}
    while True:
        for name in order.sample(names, len(names)):
            for _ in range(burst.settling):
                calls[name]()
            spent[name] += [_milliseconds(calls[name]) for _ in range(burst.counted)]
        yield spent


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A full collection takes a quarter of a second once torch and timm are imported (measured),
    and would be charged to whoever runs just then."""
    was_enabled = gc.isenabled()
    gc.collect()  # now, as what lies there already would be held until the end
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
