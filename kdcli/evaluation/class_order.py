"""Do a model's classes stand in another order than the data's? Of its answers, pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kdcli.core.arrays import Bools, Ints
from kdcli.core.text import some

NAMED = 4
"""Pairs that a message names."""
SURE = 0.001
"""How often a model whose classes are in order may be called permuted."""


@dataclass(frozen=True)
class Renaming:
    """Other names for a model's classes, under which it is right far more often."""

    pairs: tuple[tuple[int, int], ...]
    """(what it answers, what the data say), the most frequent first."""
    right: float
    """Its accuracy as it is, in [0, 1]."""
    renamed: float
    """Its accuracy under these names."""

    def words(self, classes: Sequence[str]) -> str:
        """What was found, with the first pairs by their names."""
        pairs = [f"'{classes[it]}' where the data say '{classes[they]}'" for it, they in self.pairs]
        return (
            f"right on {self.right:.0%} of the validation images, but on {self.renamed:.0%} if its "
            f"classes had other names: it answers {some(pairs, NAMED)}; they seem to stand in "
            "another order than the data's"
        )


def permuted_classes(predictions: Ints, labels: Ints, num_classes: int) -> Renaming | None:
    """A permutation of the classes that explains the answers much better than none; else None.

    The best permutation of a confusion matrix always looks better, by luck. So it is chosen on one
    half of the images and tried on the other, and the reverse: of the images that it and the
    identity explain differently it has to explain more than two thirds, and a sign test has to
    refuse an even share at `SURE`. Its cycles (two classes swapped are one) are tested one by one,
    as two swapped among many classes are few images of all, and all of them together, as each of
    many may be too small to tell. `predictions` and `labels` are (N,), below `num_classes`.
    """
    best = _best_names(predictions, labels, num_classes)
    moved = best != np.arange(num_classes)
    if not moved.any():
        return None
    held_out = _chosen_elsewhere(predictions, labels, num_classes)
    better = (held_out != predictions) & (held_out == labels)
    worse = (held_out != predictions) & (predictions == labels)
    groups = list(_cycles(best))
    found = [group for group in groups if _tells(better, worse, predictions, group, len(groups))]
    if not found and _tells(better, worse, predictions, np.flatnonzero(moved), len(groups)):
        found = groups
    if not found:
        return None
    names = np.arange(num_classes)
    for group in found:
        names[group] = best[group]
    return Renaming(
        _pairs(names, predictions, labels),
        float(np.mean(predictions == labels)),
        float(np.mean(names[predictions] == labels)),
    )


def told_apart(predictions: Ints, labels: Ints, num_classes: int) -> float:
    """Share of images that are right under the names that suit the answers best: how well classes
    are told apart, whatever they are called."""
    return float(np.mean(_best_names(predictions, labels, num_classes)[predictions] == labels))


def _best_names(predictions: Ints, labels: Ints, num_classes: int) -> Ints:
    """(K,): the renaming of the answers, one to one, that makes most of them right; of equals the
    one that renames least."""
    from scipy.optimize import linear_sum_assignment

    met = np.zeros((num_classes, num_classes))
    np.add.at(met, (predictions, labels), 1.0)
    # no image decides between equals, so the identity does
    met[np.diag_indices(num_classes)] += 0.5 / num_classes
    _, names = linear_sum_assignment(met, maximize=True)
    return np.asarray(names, dtype=np.int64)


def _chosen_elsewhere(predictions: Ints, labels: Ints, num_classes: int) -> Ints:
    """(N,): each answer under the names that suit the other half of the images; halves of each
    class."""
    order = np.argsort(labels, kind="stable")
    half = np.empty(len(labels), dtype=np.int64)
    half[order] = np.arange(len(labels)) % 2
    found = np.empty(len(labels), dtype=np.int64)
    for mine in (0, 1):
        there, here = half != mine, half == mine
        names = _best_names(predictions[there], labels[there], num_classes)
        found[here] = names[predictions[here]]
    return found


def _cycles(names: Ints) -> Iterator[Ints]:
    """The classes that change places with each other, of each ring of two or more."""
    seen = np.zeros(len(names), dtype=bool)
    for first in range(len(names)):
        ring, at = [], first
        while not seen[at]:
            seen[at] = True
            ring.append(at)
            at = int(names[at])
        if len(ring) > 1:
            yield np.array(ring)


def _tells(better: Bools, worse: Bools, predictions: Ints, group: Ints, tests: int) -> bool:
    from scipy.stats import binomtest

    mine = np.isin(predictions, group)
    gained, lost = int(np.sum(better & mine)), int(np.sum(worse & mine))
    if gained <= 2 * lost:
        return False
    p: float = binomtest(gained, gained + lost, alternative="greater").pvalue
    return p <= SURE / (tests + 1)


def _pairs(names: Ints, predictions: Ints, labels: Ints) -> tuple[tuple[int, int], ...]:
    moved: Sequence[int] = np.flatnonzero(names != np.arange(len(names))).tolist()
    seen = {c: int(np.sum((predictions == c) & (labels == names[c]))) for c in moved}
    ranked = sorted(moved, key=lambda c: (-seen[c], c))
    return tuple((c, int(names[c])) for c in ranked if seen[c])
