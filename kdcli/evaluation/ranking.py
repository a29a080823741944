"""Which of several models is best: all pairs on the same images, tested together; who is on the
Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from kdcli.core.arrays import Bools
from kdcli.evaluation.intervals import Interval
from kdcli.evaluation.significance import LEVEL, holm, paired_gain


@dataclass(frozen=True)
class Seeds:
    """What the models of one candidate got right."""

    right: Bools
    """(S, N)."""
    seeds: tuple[int, ...]
    """Of the S models, all different."""

    @property
    def accuracy(self) -> float:
        """The mean over them."""
        return float(self.right.mean())


@dataclass(frozen=True)
class Pair:
    """Two candidates, by their places."""

    one: int
    other: int
    gain: float
    """How much oftener `one` is right."""
    ci95: Interval
    """Of this pair alone."""
    p_value: float
    """After Holm, over all pairs."""

    @property
    def differs(self) -> bool:
        """The two can be told apart, all pairs considered."""
        return self.p_value < LEVEL


@dataclass(frozen=True)
class Ranking:
    """Places of candidates."""

    best: int
    """The one that is right most often; the first of equals."""
    alike: tuple[int, ...]
    """Who cannot be told from it, the best first."""
    behind: tuple[int, ...]
    """Who can."""


def all_pairs(candidates: Sequence[Seeds]) -> list[Pair]:
    """Each with each, in their order.

    Raises:
        ValueError: they were not asked about equally many images.
    """
    found = [
        _pair(i, j, candidates[i], candidates[j])
        for i, j in combinations(range(len(candidates)), 2)
    ]
    corrected = holm([pair.p_value for pair in found])
    return [replace(pair, p_value=p) for pair, p in zip(found, corrected, strict=True)]


def _pair(i: int, j: int, one: Seeds, other: Seeds) -> Pair:
    gain = paired_gain(*side_by_side(one, other))
    return Pair(i, j, gain.gain, gain.ci95, gain.p_value)


def side_by_side(one: Seeds, other: Seeds) -> tuple[Bools, Bools]:
    """(S, N) of both, a row per pair of models: those of the same seed; where two of them do not
    share two seeds, in their order, as many as both have; a single model stands beside each of the
    other's."""
    if 1 in (len(one.right), len(other.right)):
        rows = max(len(one.right), len(other.right))
        first, second = (
            np.broadcast_to(each.right, (rows, each.right.shape[1])) for each in (one, other)
        )
        return first, second
    shared = [seed for seed in one.seeds if seed in other.seeds]
    if len(shared) > 1:
        mine, theirs = ([each.seeds.index(seed) for seed in shared] for each in (one, other))
        return one.right[mine], other.right[theirs]
    rows = min(len(one.right), len(other.right))
    return one.right[:rows], other.right[:rows]


def ranked(candidates: Sequence[Seeds], pairs: Sequence[Pair]) -> Ranking:
    """Who is best, and who can be told from it."""
    accuracies = [one.accuracy for one in candidates]
    order = sorted(range(len(candidates)), key=lambda i: -accuracies[i])
    best = order[0]
    differs = {pair.one + pair.other - best for pair in _of(best, pairs) if pair.differs}
    return Ranking(
        best,
        alike=tuple(i for i in order[1:] if i not in differs),
        behind=tuple(i for i in order[1:] if i in differs),
    )


def _of(place: int, pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for pair in pairs if place in (pair.one, pair.other)]


def front(
    accuracies: Sequence[float],
    costs: Sequence[Sequence[float | None]],
    alike: Sequence[float] = (),
) -> list[bool]:
    """Who is on the Pareto front: nobody is at least as accurate and at least as cheap in every one
    of its costs (size, latency, ...), and better in one of these. A cost that is None for anybody
    is left out for all; costs that differ by less than a share of them that stands in `alike`, in
    their order, count as equal: times have noise."""
    columns = [
        (i, alike[i] if i < len(alike) else 0.0)
        for i, column in enumerate(zip(*costs, strict=True))
        if all(cost is not None for cost in column)
    ]

    def dominates(one: int, other: int) -> bool:
        ours, theirs = costs[one], costs[other]
        pairs = [(ours[i] or 0.0, theirs[i] or 0.0, share) for i, share in columns]
        at_least = all(a <= b * (1 + share) for a, b, share in pairs)
        better = any(a < b * (1 - share) for a, b, share in pairs)
        ahead = accuracies[one] - accuracies[other]
        return at_least and (ahead > 0 or (ahead == 0 and better))

    places = range(len(accuracies))
    return [not any(dominates(other, mine) for other in places) for mine in places]
