"""Which of two a student takes after: its ensemble, or the best single teacher in it.

N images, S seeds. The student's rows are (S, N), those of its teachers (N,).
"""

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Reals
from kdcli.report.comparison import WORTH_CLOSING, Closer


def gap_kept(student: float, single: float, ensemble: float) -> float | None:
    """(student - single) / (ensemble - single) of accuracies: 1 keeps all that the ensemble adds.

    Negative where the student is behind the single teacher; None where the ensemble is less than
    a point ahead of it.
    """
    gap = ensemble - single
    # a difference of floats: 0.01 may come out a hair below
    return (student - single) / gap if gap >= WORTH_CLOSING - 1e-12 else None


def closer_in_accuracy(student: Bools, ensemble: Bools, single: Bools) -> Closer:
    """To whose accuracy the student's is closer, from who was right where.

    Decided where the 95% bootstrap interval of |student - ensemble| - |student - single|, over
    seeds and images together, excludes 0.
    """
    mine = student.astype(np.float64)
    means = _resampled(np.stack([mine - ensemble, mine - single]))
    return _closer(np.abs(means[:, 0]) - np.abs(means[:, 1]))


def closer_in_answers(to_ensemble: Reals, to_single: Reals) -> Closer:
    """To whose answers the student's are closer, from its (S, N) distances to either.

    Decided where the 95% bootstrap interval of the mean difference excludes 0.
    """
    return _closer(_resampled((to_ensemble - to_single)[None])[:, 0])


def _closer(further_from_ensemble: Doubles) -> Closer:
    low, high = np.percentile(further_from_ensemble, [2.5, 97.5])
    return "ensemble" if high < 0 else "single" if low > 0 else "undecided"


def _resampled(values: Reals, draws: int = 2000, seed: int = 0) -> Doubles:
    """(draws, Q) means of (Q, S, N), seeds and images drawn with replacement, alike for all Q.

    Column by column: distances in nats all differ, so there are no equal ones to count as
    `significance._bootstrap` does.
    """
    rng = np.random.default_rng(seed)
    _, seeds, images = values.shape
    means = np.empty((draws, len(values)))
    for draw in range(draws):
        rows = np.bincount(rng.integers(seeds, size=seeds), minlength=seeds)
        columns = np.bincount(rng.integers(images, size=images), minlength=images)
        means[draw] = values @ columns @ rows
    means /= seeds * images
    return means
