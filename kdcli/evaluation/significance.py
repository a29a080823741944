"""Do two differ: McNemar's exact test, what it could have shown, the verdict's code."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdcli.core.arrays import Bools, Ints
from kdcli.evaluation.intervals import Interval, effective_images, paired_interval

LEVEL, POWER = 0.05, 0.80
"""A p-value below counts; the chance to see a gain that is usual to plan with (Cohen 1988)."""


@dataclass(frozen=True)
class Gain:
    """What `paired_gain` found; all but `p_value` and `seeds` are differences of accuracy."""

    gain: float
    ci95: Interval
    p_value: float
    detectable: float | None
    """The smallest true gain that this test had an 80% chance to show; None where it could not
    have shown any."""
    seeds: int


def mcnemar(a: Bools, b: Bools) -> float:
    """Exact two-sided p (McNemar 1947) that two models are right equally often; 1 if nowhere apart.

    `a` and `b`, each (N,), say which images each model got right. Only images that a single one got
    right tell: were both equally good, each would be right on half of them. Exact, because good
    models differ on a few dozen, too few for the usual chi-squared.
    """
    return exact_p(float(np.sum(a & ~b)), float(np.sum(b & ~a)))


def exact_p(only_one: float, only_other: float) -> float:
    """McNemar's from the numbers of images that a single one got right; they need not be whole."""
    from scipy.special import betainc

    more, less = max(only_one, only_other), min(only_one, only_other)
    return min(1.0, 2 * float(betainc(more, less + 1, 0.5))) if more else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected for their number, in their order (Holm 1979, Scandinavian Journal of Statistics
    6:65): the smallest times all of them, the next times one less, never falling, at most 1."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, p_values[i] * (len(p_values) - rank)))
        found[i] = highest
    return found


# Student against baseline ----------------------------------------------------------------------


def paired_gain(student: Bools, baseline: Bools) -> Gain:
    """How much oftener the student is right than the baseline trained with the same seed.

    Both are (S, N): which of the N test images the model of each seed got right. Of several seeds
    the test and the interval are those of one on `effective_images`: images and seeds are both
    samples. The interval holds 0 wherever the test finds nothing.
    """
    if student.shape != baseline.shape or student.ndim != 2 or student.size == 0:
        raise ValueError(f"two equal (S, N) wanted, got {student.shape} and {baseline.shape}")
    difference = student.astype(np.int64) - baseline.astype(np.int64)
    one, other = discordant(difference)
    images, p_value = effective_images(difference), _p_value(difference, one, other)
    return Gain(
        gain=int(difference.sum()) / difference.size,
        ci95=tested_interval(one, other, images),
        p_value=p_value,
        detectable=detectable_gain(one + other, images),
        seeds=len(student),
    )


def tested_interval(only_one: float, only_other: float, images: float) -> Interval:
    """`paired_interval` at 95%, which holds 0 wherever McNemar's exact test finds nothing."""
    found = paired_interval(only_one, only_other, images)
    if exact_p(only_one * images, only_other * images) < LEVEL:
        return found
    return Interval(min(found.low, 0.0), max(found.high, 0.0))


def discordant(difference: Ints) -> tuple[float, float]:
    """Of (S, N) in {-1, 0, 1}: the shares of 1 and of -1."""
    return float((difference > 0).mean()), float((difference < 0).mean())


def _p_value(difference: Ints, one: float, other: float) -> float:
    """Of (S, N) in {-1, 0, 1}: the level at which the test would just find a difference.

    With several seeds the number of images that they are worth depends on the level.
    """

    def at(level: float) -> float:
        images = effective_images(difference, 1 - level)
        return exact_p(one * images, other * images)

    if len(difference) == 1 or one == other:
        return at(LEVEL)
    low, high = 1e-12, 0.999
    if at(high) >= high:
        return 1.0
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if at(middle) < middle else (middle, high)
    return high


def detectable_gain(discordant: float, images: float) -> float | None:
    """The smallest true gain that McNemar's exact test shows with 80% power; None: not even 1.

    On `images`, where the share of those on which a single one is right is `discordant`, as it is
    here, or the gain itself where that is more (Connor 1987, Biometrics 43:207).
    """
    whole = int(images + 1e-9)
    if _power(1.0, discordant, whole) < POWER:
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, discordant, whole) >= POWER else (middle, high)
    return high


def _power(gain: float, discordant: float, images: int) -> float:
    """The chance that the test finds the better one better, over how many images tell."""
    from scipy.stats import binom

    apart = max(discordant, gain)
    ends = binom.ppf([1e-9, 1 - 1e-9], images, apart).astype(int)
    telling = np.arange(ends[0], ends[1] + 1)
    needed = binom.isf(LEVEL / 2, telling, 0.5) + 1  # so many on one side; of five or less none
    seen = binom.sf(needed - 1, telling, (1 + gain / apart) / 2)
    return float(np.sum(binom.pmf(telling, images, apart) * seen))


def verdict_code(gain: Gain, margin: float) -> str:
    """What may be said: of two files from one or two seeds, of distillation from three on.

    one_seed_better | one_seed_worse | one_seed_even, or helped | hurt | equal (the interval lies
    within `margin` of 0) | undecided. Two seeds say next to nothing of how seeds vary: hence three.
    """
    low, high = gain.ci95.low, gain.ci95.high
    if gain.seeds < 3:
        return "one_seed_better" if low > 0 else "one_seed_worse" if high < 0 else "one_seed_even"
    if low > 0 or high < 0:
        return "helped" if low > 0 else "hurt"
    return "equal" if -margin <= low and high <= margin else "undecided"
