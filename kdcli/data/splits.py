"""Splits made on the fly: stratified, and the same on every machine."""

import numpy as np
from numpy.typing import NDArray

from kdcli.data.order import hashes

_SPLIT = 0x73706C6974
"""Keeps splits apart from other numbers of the same seed."""


def carve(
    labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (rest, part), both sorted, where `part` holds round(share * n) samples.

    Classes give by largest remainder. Every class keeps at least one sample in the rest and,
    where the total allows, has at least one in the part if it has two. The part is smaller than
    asked only if the classes could not give so many.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    chosen = np.zeros(len(labels), dtype=bool)
    keys = hashes(_SPLIT, seed, np.arange(len(labels)))
    for label, count in zip(classes, _counts(sizes, round(share * len(labels))), strict=True):
        members = np.flatnonzero(labels == label)
        chosen[members[np.argsort(keys[members], kind="stable")[:count]]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _counts(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """How many each class gives, (K,): its quota rounded so that the sum is `total`."""
    most = sizes - 1
    total = min(total, int(most.sum()))
    quotas: NDArray[np.float64] = total * sizes / max(1, sizes.sum())
    counts: NDArray[np.int64] = np.minimum(np.maximum(np.floor(quotas).astype(np.int64), 1), most)
    while counts.sum() < total:
        counts[np.where(counts < most, quotas - counts, -np.inf).argmax()] += 1
    while counts.sum() > total:
        # Several from one class go before the only one of another.
        spare = counts > (1 if counts.max() > 1 else 0)
        counts[np.where(spare, quotas - counts, np.inf).argmin()] -= 1
    return counts
