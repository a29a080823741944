"""Do two differ: McNemar's exact test, the paired bootstrap, the verdict's code."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Ints
from kdcli.evaluation.intervals import Z_95, Interval

Z_POWER = NormalDist().inv_cdf(0.80)
"""0.84: a true gain of `Z_95` and this many standard errors shows in 80% of all tests, which is the
usual power to plan with (Cohen 1988)."""


@dataclass(frozen=True)
class Gain:
    """What `paired_gain` found; all but `p_value` and `seeds` are differences of accuracy."""

    gain: float
    ci95: Interval
    p_value: float
    detectable: float
    """The smallest true gain that this test had an 80% chance to show."""
    seeds: int


def mcnemar(a: Bools, b: Bools) -> float:
    """Exact two-sided p (McNemar 1947) that two models are right equally often; 1 if nowhere apart.

    `a` and `b`, each (N,), say which images each model got right. Only images that a single one got
    right tell: were both equally good, each would be right on half of them. Exact, because good
    models differ on a few dozen, too few for the usual chi-squared.
    """
    from scipy.stats import binomtest

    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b).pvalue)


# Student against baseline ----------------------------------------------------------------------


def paired_gain(student: Bools, baseline: Bools, draws: int = 2000, seed: int = 0) -> Gain:
    """How much oftener the student is right than the baseline trained with the same seed.

    Both are (S, N): which of the N test images the model of each seed got right. The interval is
    a percentile bootstrap over seeds and images together (images alone where S = 1), seeded by
    `seed`; with 2,000 draws another seed moves its ends by some 3% of its half width. The p-value
    is McNemar's where S = 1, else read off the bootstrap and so never below 2 / (draws + 1).
    """
    if student.shape != baseline.shape or student.ndim != 2 or student.size == 0:
        raise ValueError(f"two equal (S, N) wanted, got {student.shape} and {baseline.shape}")
    seeds, images = student.shape
    difference = student.astype(np.int64) - baseline.astype(np.int64)
    replicates = _bootstrap(difference, draws, np.random.default_rng(seed))
    low, high = np.percentile(replicates, [2.5, 97.5])
    return Gain(
        gain=int(difference.sum()) / difference.size,
        ci95=Interval(float(low), float(high)),
        p_value=mcnemar(student[0], baseline[0]) if seeds == 1 else _bootstrap_p(replicates),
        # nothing finer than one image can be seen, even where no replicate differs
        detectable=max((Z_95 + Z_POWER) * float(replicates.std()), 1 / images),
        seeds=seeds,
    )


def verdict_code(gain: Gain, margin: float) -> str:
    """What may be said: of two files from one or two seeds, of distillation from three on.

    one_seed_better | one_seed_worse | one_seed_even, or helped | hurt | equal (the interval lies
    within `margin` of 0) | undecided. Two seeds can be drawn in three ways, which is no
    distribution of seeds: hence three.
    """
    low, high = gain.ci95.low, gain.ci95.high
    if gain.seeds < 3:
        if gain.p_value >= 0.05:  # few discordant images: the interval alone is too sure
            return "one_seed_even"
        return "one_seed_better" if low > 0 else "one_seed_worse" if high < 0 else "one_seed_even"
    if low > 0 or high < 0:
        return "helped" if low > 0 else "hurt"
    return "equal" if -margin <= low and high <= margin else "undecided"


def _bootstrap(difference: Ints, draws: int, rng: np.random.Generator) -> Doubles:
    """(draws,) mean differences of (S, N) in {-1, 0, 1}, rows and columns drawn with replacement,
    each on their own (the pigeonhole bootstrap, Owen 2007): a seed meets every image.

    Equal columns are interchangeable, so what is drawn is how often each distinct column comes:
    at most 3^S numbers instead of N. Sums are of integers, so that no gain is exactly 0.
    """
    seeds, images = difference.shape
    columns, counts = np.unique(difference, axis=1, return_counts=True)
    totals = np.empty(draws, dtype=np.int64)
    for draw in range(draws):
        rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds))
        totals[draw] = rows @ columns @ rng.multinomial(images, counts / images)
    return totals / difference.size


def _bootstrap_p(replicates: Doubles) -> float:
    """Two-sided p of "no gain", in [2 / (draws + 1), 1]: the data count as one more draw, so that
    it is never 0."""
    tail = min(np.sum(replicates <= 0), np.sum(replicates >= 0))
    return min(1.0, 2 * (1 + int(tail)) / (1 + len(replicates)))
