"""Which of two a student takes after: its ensemble, or the best single teacher in it.

N images, S seeds. The student's rows are (S, N), those of its teachers (N,).
"""

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Reals
from kdcli.evaluation.intervals import (
    Interval,
    effective_images,
    student_quantile,
)
from kdcli.evaluation.significance import tested_interval
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

    Decided where the 95% intervals of ensemble - single and of student - the middle between them
    both exclude 0.
    """
    ahead = tested_interval(*_parts(ensemble.astype(np.float64) - single), len(ensemble))
    beyond = student - (ensemble.astype(np.float64) + single) / 2
    side = tested_interval(*_parts(beyond), effective_images(beyond))
    signs = _sign(ahead) * _sign(side)
    return "ensemble" if signs > 0 else "single" if signs < 0 else "undecided"


def closer_in_agreement(ensemble: Bools, single: Bools) -> Closer:
    """Whose top-1 classes the student gives more often; (S, N), where it gives another one.

    Decided where the 95% interval of the difference excludes 0.
    """
    difference = ensemble.astype(np.float64) - single
    return _CLOSER[_sign(tested_interval(*_parts(difference), effective_images(difference)))]


def closer_in_answers(to_ensemble: Reals, to_single: Reals) -> Closer:
    """To whose answers the student's are closer, from its (S, N) distances to either.

    Decided where the 95% interval of the mean difference, over seeds and images, excludes 0.
    """
    difference = to_ensemble - to_single
    reach = student_quantile(0.95, max(1, difference.shape[1] - 1)) * float(difference.std())
    reach /= effective_images(difference) ** 0.5
    mean = float(difference.mean())
    return _CLOSER[_sign(Interval(mean - reach, mean + reach))]


_CLOSER: dict[int, Closer] = {-1: "ensemble", 0: "undecided", 1: "single"}
"""By the sign of (distance to the ensemble - distance to the single one)."""


def _parts(difference: Doubles) -> tuple[float, float]:
    """The means of what lies above 0 and of what lies below; of values in [-1, 1], which vary by
    no more than two shares do."""
    return float(np.maximum(difference, 0).mean()), float(np.maximum(-difference, 0).mean())


def _sign(found: Interval) -> int:
    return 1 if found.low > 0 else -1 if found.high < 0 else 0
