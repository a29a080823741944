"""How sure one may be of a share, of the difference of two on the same images, over seeds.

All hold at 0 and 1, on few images, and where no two answers differ;
`tests/evaluation/test_intervals.py` counts how often the truth lies inside.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from kdcli.core.arrays import Bools, Ints, Reals


@dataclass(frozen=True)
class Interval:
    """A confidence interval, 95% where nothing else is said, both ends included."""

    low: float
    high: float


def share_interval(share: float, n: float, confidence: float = 0.95) -> Interval:
    """Of a share seen on `n` > 0 images (Clopper and Pearson 1934); `n` need not be whole (Korn and
    Graubard 1998).

    Exact: never below its confidence, where Wilson's falls to 84% near 0 and 1.
    """
    from scipy.special import betaincinv

    tail, hits = (1 - confidence) / 2, share * n
    low = float(betaincinv(hits, n - hits + 1, tail)) if share > 0 else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if share < 1 else 1.0
    return Interval(low, high)


def paired_interval(
    only_one: float, only_other: float, n: float, confidence: float = 0.95
) -> Interval:
    """Of how much oftener one is right than the other, on the same `n` > 0 images.

    `only_one` and `only_other` are the shares of images that a single one gets right, so that the
    difference is theirs. Their own intervals are squared and added (Newcombe 1998, Statistics in
    Medicine 17:2635; Zou and Donner 2008, 27:1693), with the correlation of two cells of a
    multinomial. Where nothing differs, it ends where that of 0 of `n` does.
    """
    one, other = (share_interval(share, n, confidence) for share in (only_one, only_other))
    spread = math.sqrt(only_one * (1 - only_one) * only_other * (1 - only_other))
    phi = -only_one * only_other / spread if spread else 0.0
    down = _add(only_one - one.low, other.high - only_other, phi)
    up = _add(one.high - only_one, only_other - other.low, phi)
    gain = only_one - only_other
    return Interval(max(-1.0, gain - down), min(1.0, gain + up))


def normal_quantile(confidence: float) -> float:
    """Standard errors in half a two-sided interval: 1.96 of 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def student_quantile(confidence: float, freedom: int) -> float:
    """The same by Student's t, for a standard error estimated from `freedom` + 1 values."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def _add(one: float, other: float, phi: float) -> float:
    """The distance that two make whose errors are correlated by `phi`, as a side of a triangle;
    rounding may take the square below 0."""
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


# Several seeds ---------------------------------------------------------------------------------


def effective_images(values: Reals | Ints | Bools, confidence: float = 0.95) -> float:
    """On how many images, seen by one seed, their mean is as sure as here; in (0, S N].

    `values` is (S, N), of S seeds on N images: hits (0, 1), or differences of two (-1, 0, 1). What
    one value varies by, over the variance of the mean, is the size to put into an interval for one
    sample (Korn and Graubard 1998). That variance is of images and of seeds, each a sample (two-way
    analysis of variance). Few seeds say little of their own spread: its part is that of Student's t
    for S - 1 (Banerjee 1961, Sankhya 23:359). N where there is one seed, or nothing differs.
    """
    seeds, images = values.shape
    spread = float(values.var())
    if seeds == 1 or spread == 0:
        return float(images)
    few = (student_quantile(confidence, seeds - 1) / normal_quantile(confidence)) ** 2
    of_images = seeds * float(values.mean(axis=0).var())
    of_seeds = images * float(values.mean(axis=1).var(ddof=1))
    rest = seeds * spread - of_images - (seeds - 1) / images * of_seeds
    alike = max(0.0, of_images - rest / (seeds - 1))  # what an image is to all seeds
    variance = max(of_images, few * of_seeds + alike)  # of the mean, times S N
    most = float(seeds * images)
    return min(most, most * spread / variance) if variance else most


def images_alone(values: Reals | Ints | Bools) -> float:
    """The same, had these seeds been the only ones: the spread over images."""
    seeds, images = values.shape
    spread, variance = float(values.var()), float(values.mean(axis=0).var())
    if spread == 0:
        return float(images)
    most = float(seeds * images)
    return min(most, images * spread / variance) if variance else most
