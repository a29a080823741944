"""The order of the data, and every random number of it, as pure functions.

Numbers come from splitmix64 (Steele, Lea, Flood 2014) over the caller's keys: no stream, no
state, so any worker and any resumed run finds the same ones. The values are part of the
interface: changing them changes every recorded run. NumPy's Generator would not do: its streams may
change from one version to the next (NEP 19).
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Hashes, Indices, Ints

Key = int | Ints

# Published: 2^64 over the golden ratio, and the numbers of Stafford's mix 13, which it took over.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_WORD = (1 << 64) - 1
_PERMUTATION = 0x6F72646572
"""Keeps the order of an epoch apart from other numbers of the same seed. Such a key is a word in
ASCII ("order") throughout this room, and comes before the seed."""
_CIRCLE = 0x636972636C65
"""In the place of an epoch, none of which is as high."""
_PAIRS, _PARTNER = 0x7061697273, 0x706172746E6572
VIEWS = 0x7669657773
"""In the place of a seed, for all that makes an image's view: the same for every seed, so that what
a teacher answers to it is right for all students of it."""


def hashes(*keys: Key) -> Hashes:
    """Mix the keys one after another, broadcast against each other: uint64, of their shape.

    Different values of the last key never collide while the others are fixed: each mixing is a
    bijection of 64 bits. The order of the keys counts. Of one key it is splitmix64 as published.
    """
    state = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):  # wrapping around is the arithmetic meant
        for key in keys:
            state = _mix((state ^ _words(key)) + _STEP)
    return np.asarray(state, dtype=np.uint64)


def uniform(*keys: Key) -> Doubles:
    """One number in [0, 1) per hash, from its upper 53 bits, which is what a double holds."""
    return (hashes(*keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, n: int, together: Ints | None = None) -> Indices:
    """The order of `n` samples in one epoch, (n,); those of one number in `together` (n,) stay
    neighbours.

    By sorting hashes: the same on every machine, and any epoch's without those before it. No two
    keys are equal (see `hashes`).
    """
    keys = hashes(_PERMUTATION, seed, epoch, np.arange(n) if together is None else together)
    return np.argsort(keys, kind="stable").astype(np.int64)


@lru_cache(maxsize=2)  # an epoch has one view, or two; of a million samples it takes 0.3 s
def pairing(view: int, n: int) -> tuple[Indices, Indices]:
    """The partner of each of `n` samples in one view, and the number of their pair; both (n,).

    Everyone has one, and is its partner's: but for the last of an odd number, whose partner is
    another's.
    """
    ring, place = permutation(_PAIRS, view, n), np.arange(n)
    other = place ^ 1
    partner, pair = np.empty(n, np.int64), np.empty(n, np.int64)
    partner[ring] = ring[np.where(other < n, other, 0)]
    pair[ring] = place // 2
    return partner, pair


def balanced_partners(members: Sequence[Indices], view: Ints, index: Ints) -> Indices:
    """A partner (B,) for each sample, of any class with the same chance: where rare classes are
    shown as often as the others, partners must be, too. `members` are the samples of each class."""
    classes = uniform(VIEWS, _PARTNER, view, index) * len(members)
    places = uniform(VIEWS, _PARTNER, view, index, 1)
    drawn = zip((members[int(one)] for one in classes), places, strict=True)
    return np.array([of[int(place * len(of))] for of, place in drawn])


def all_but(seed: int, epoch: int, n: int, shown: int, together: Ints | None = None) -> Indices:
    """The order of one epoch that has room for `shown` of `n` samples, (shown,); `together` as for
    `permutation`.

    The others are neighbours on a circle, on which the next epoch takes the next ones: no sample is
    left out of two epochs in a row where `shown` is at least half of them, and all as often.
    """
    out, circle = n - shown, permutation(seed, _CIRCLE, n)
    left_out = circle[(epoch * out + np.arange(out)) % n]
    order = permutation(seed, epoch, n, together)
    return order[~np.isin(order, left_out)]


def passes(seed: int, first: int, last: int, n: int) -> tuple[Indices, Indices]:
    """Places `first` to `last` in an endless order of `n` samples: which sample, and in which pass.

    All are seen before one is seen again, and each pass has a new order.
    """
    which = np.arange(first, last) // n
    orders = {number: permutation(seed, number, n) for number in np.unique(which).tolist()}
    rows = [order[max(first - p * n, 0) : last - p * n] for p, order in orders.items()]
    return np.concatenate(rows), which


def with_labels(batch_size: int, share: float) -> int:
    """How many images of a batch have labels; at least one has, and one has none."""
    return min(max(round(share * batch_size), 1), batch_size - 1)


def of_both_kinds(
    seed: int, epoch: int, known: Bools, steps: int, batch_size: int, with_label: int
) -> tuple[Indices, Indices]:
    """The order of one epoch of `steps` batches, each with so many images whose labels are `known`
    (n,), and in which pass over its kind each is; both (steps * batch_size,).

    Spread evenly over each batch, so that its parts have both kinds, too.
    """
    place = np.arange(batch_size + 1) * with_label // batch_size
    kinds = np.tile(np.diff(place) > 0, steps)
    rows, which = np.empty(len(kinds), np.int64), np.empty(len(kinds), np.int64)
    for kind in (True, False):
        slots, members = np.flatnonzero(kinds == kind), np.flatnonzero(known == kind)
        first = epoch * len(slots)
        found, which[slots] = passes(seed, first, first + len(slots), len(members))
        rows[slots] = members[found]
    return rows, which


def _mix(state: Hashes) -> Hashes:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))


def _words(key: Key) -> Hashes:
    if isinstance(key, int):
        return np.asarray(key & _WORD, dtype=np.uint64)
    return key.astype(np.uint64)


@contextmanager
def seeded_globals(key: int) -> Iterator[None]:
    """Python's and NumPy's generators start at `key` (64 bits) inside, and are put back behind.

    For timm and Pillow, which take no generator of ours. They are the process's: threads that draw
    meanwhile would share them, so batches are made in one.
    """
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(key)
    np.random.seed([key & 0xFFFFFFFF, key >> 32])  # it takes words of 32 bits, so two of them
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
