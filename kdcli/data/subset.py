"""Which of the training images a training sees: a pure function of (seed, image).

Members of an ensemble that see 60 to 100% each are Zuchniak's (2023, arXiv:2302.07215).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from kdcli.core.arrays import Indices, Ints
from kdcli.data.order import hashes, uniform
from kdcli.data.several import one_behind_the_other
from kdcli.data.source import Source, Split
from kdcli.data.unlabelled import UNKNOWN
from kdcli.recipe.data import Hidden, Keep, Subset
from kdcli.recipe.load import learns_without_labels
from kdcli.runs.spec import Spec

FEWEST = 2
"""Images that a class keeps, where it has them: one to learn from says little. No share leaves a
class out, as the classifier answers all of them."""

_HIDDEN, _SUBSET, _SHARE = 0x68696465, 0x73756273, 0x73686172
"""Keep who is hidden, who is drawn, and how many apart from other numbers of the same seed."""


def training_split(spec: Spec, source: Source) -> Split:
    """The images that a training learns from: those of `labelled_split`; where it learns without
    labels, too, the same share of those whose labels are hidden (-1), and the source's unlabelled
    ones behind them.

    Drawn apart, so that the student sees all that its baseline sees, and more; a draw from all
    images together would give the baseline some that the student has not.
    """
    if not learns_without_labels(spec.recipe):
        return labelled_split(spec, source)
    data, split = spec.recipe.data, source.train
    known = _known(split.labels, data.hidden)
    hidden = np.setdiff1d(np.arange(len(split)), known)
    seen = [part[_drawn(split.labels[part], data.subset, spec.seed)] for part in (known, hidden)]
    labels = split.labels.copy()
    labels[hidden] = UNKNOWN
    found = replace(split, labels=labels).take(np.sort(np.concatenate(seen)))
    if spec.unlabelled is None:
        return found
    assert source.unlabelled, "whoever opens the data of a spec opens these, too"
    return one_behind_the_other(found, source.unlabelled)


def labelled_split(spec: Spec, source: Source) -> Split:
    """Those of them whose labels are known."""
    data = spec.recipe.data
    return drawn(labelled(source.train, data.hidden), data.subset, spec.seed)


def labelled(split: Split, hidden: Hidden) -> Split:
    """Without the images whose labels nobody is to know: the same in every run, so that no teacher,
    of whatever seed, has seen what is hidden from the student."""
    return split.take(_known(split.labels, hidden)) if hidden else split


def drawn(split: Split, subset: Subset, seed: int) -> Split:
    """A share of the images, class by class; of (low, high) the share itself is drawn, too."""
    everything = share_drawn(subset, seed) == 1
    return split if everything else split.take(_drawn(split.labels, subset, seed))


def share_drawn(subset: Subset, seed: int) -> float:
    """Which share of the images this seed draws."""
    if isinstance(subset, float):
        return subset
    low, high = subset
    return low + (high - low) * float(uniform(_SHARE, seed))


def _known(labels: Ints, hidden: Hidden) -> Indices:
    if isinstance(hidden, Keep):
        most = hidden.keep
        return _stay(labels, lambda members: min(most, members), _HIDDEN)
    return _stay(labels, partial(_part, 1 - hidden), _HIDDEN)


def _drawn(labels: Ints, subset: Subset, seed: int) -> Indices:
    return _stay(labels, partial(_part, share_drawn(subset, seed)), _SUBSET, seed)


def _part(share: float, members: int) -> int:
    return max(round(share * members), FEWEST)


def _stay(labels: Ints, count: Callable[[int], int], *keys: int) -> Indices:
    """The places, ascending, of so many of each class: those with the smallest numbers.

    So a smaller share is a part of a larger one.
    """
    numbers = hashes(*keys, np.arange(len(labels)))
    kept = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        first = np.argsort(numbers[members], kind="stable")[: count(len(members))]
        kept.append(members[first])
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)
