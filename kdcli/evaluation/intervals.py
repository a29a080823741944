"""How sure one may be of one share: the Wilson interval."""

from dataclasses import dataclass
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)
"""1.96 standard errors: half a 95% interval."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, 95% where nothing else is said, both ends included."""

    low: float
    high: float


def accuracy_interval(correct: int, n: int) -> Interval:
    """95% interval of an accuracy of `correct` out of `n` > 0 (Wilson 1927).

    Unlike the textbook normal interval it stays inside [0, 1] and does not collapse at 0 and 1.
    """
    return wilson(correct / n, n)


def wilson(share: float, n: float, z: float = Z_95) -> Interval:
    """Wilson's interval of a share seen on `n` > 0 images; `n` need not be whole.

    `z` is the normal quantile of its confidence.
    """
    centre = share + z**2 / (2 * n)
    reach = z * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    scale = 1 + z**2 / n
    low, high = (centre - reach) / scale, (centre + reach) / scale
    return Interval(max(0.0, min(low, share)), min(1.0, max(high, share)))  # rounding at 0 and 1
