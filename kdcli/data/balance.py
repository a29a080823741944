"""Rare classes: shown as often as the others, or weighted."""

import numpy as np

from kdcli.core.arrays import Floats, Indices, Ints
from kdcli.data.order import hashes, permutation

_PASS = 0x70617373
"""Keeps the order within a class apart from other numbers of the same seed."""


def balanced(seed: int, epoch: int, labels: Ints, slots: int) -> tuple[Indices, Indices]:
    """Who fills the slots of one epoch: places in `labels` and their views, both (slots,).

    The classes present take turns, slot after slot and on from epoch to epoch: shares differ by
    one at most, in an epoch and in all epochs together. Within a class the members take turns in
    a new order each pass, so that all are seen before one is seen again. The view is the number
    of the pass: no image has the same view twice.

    torch's WeightedRandomSampler draws with replacement, and from a stream: shares are right on
    average only, and some images come twice before others come at all.
    """
    present = np.unique(labels)
    first, last = epoch * slots, (epoch + 1) * slots
    drawn = []
    for turn, label in enumerate(present):
        members = np.flatnonzero(labels == label)
        # slot s is that of class s modulo their number: of `slot` slots in front, these are its own
        begin, end = (-(-(slot - turn) // len(present)) for slot in (first, last))
        place, view = _turns(seed, int(label), len(members), np.arange(begin, end))
        drawn.append((members[place], view))
    rows, views = (np.concatenate(column) for column in zip(*drawn, strict=True))
    order = permutation(seed, epoch, slots)
    return rows[order], views[order]


def _turns(seed: int, label: int, members: int, turns: Indices) -> tuple[Indices, Indices]:
    """Which member has each of a class's turns, and in which pass.

    A class of `members` images begins a new pass every so many turns; a rare one has many passes
    in an epoch, a frequent one a part of one, that goes on in the next.
    """
    passes, place = np.divmod(turns, members)
    rounds, which = np.unique(passes, return_inverse=True)
    keys = hashes(_PASS, seed, label, rounds[:, None], np.arange(members))
    return np.argsort(keys, axis=1, kind="stable")[which, place], passes


def class_weights(labels: Ints, num_classes: int) -> Floats:
    """Weights (K,) of the classes in the loss: N / (K_present · n_c), 1 on average over the images
    (scikit-learn's "balanced"), so that the loss stays in proportion to a method's.

    A class without an image weighs 1, as it does without balance: all that its targets hold is
    their part of label smoothing. Unknown labels (-1) do not count.
    """
    counts = np.bincount(labels[labels >= 0], minlength=num_classes)
    present = np.count_nonzero(counts)
    weights = counts.sum() / (max(present, 1) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1.0).astype(np.float32)
