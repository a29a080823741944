"""MUNGE: synthetic examples that lie where the real ones do, for whoever can label them."""

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Indices, Reals
from kdcli.data.order import uniform

BLOCK = 1 << 23
"""Distances that are held at once."""

_SWAP, _FIRST, _SECOND = 0x6D756E6765, 0x6D756E6766, 0x6D756E6767
"""Keep the draws apart from each other, and from other numbers of the same seed."""


def munge(
    examples: Doubles,
    *,
    p: float,
    s: float,
    passes: int = 1,
    seed: int = 0,
    nominal: Bools | None = None,
) -> Doubles:
    """`passes` times as many new examples, (passes·N, D), from (N, D) of them, N >= 2.

    Model Compression (Bucila, Caruana, Niculescu-Mizil, KDD 2006), algorithm 1. In each pass, over
    a fresh copy: for each example e and its nearest neighbour e', each attribute is changed with
    probability `p` in [0, 1]. A continuous one: e_a ~ N(e'_a, sd) and e'_a ~ N(e_a, sd), both of
    the values before, sd = |e_a - e'_a| / s, `s` > 0; a nominal one (`nominal`, (D,)): swapped.
    `p` and `s` are the user's: they depend on the data.

    The steps are written from memory of the paper. Neighbours are found once, among the examples
    as they are: Euclidean, continuous attributes scaled to [0, 1], nominal ones 0 or 1 apart.

    Raises:
        ValueError: fewer than two examples; p, s or passes out of range.
    """
    if not (0 <= p <= 1 and s > 0 and passes >= 1):
        raise ValueError(f"p={p} in [0, 1], s={s} above 0, passes={passes} at least 1")
    named = np.zeros(examples.shape[1], bool) if nominal is None else nominal
    near = neighbours(scaled(examples, named))
    return np.concatenate([_once(examples, near, named, p, s, (seed, i)) for i in range(passes)])


def scaled(examples: Doubles, nominal: Bools) -> Doubles:
    """Points whose distances are those of the examples: continuous attributes in [0, 1], two
    nominal values 1 apart."""
    numbers = examples[:, ~nominal]
    low = numbers.min(0)
    width = numbers.max(0) - low
    parts = [(numbers - low) / np.where(width > 0, width, 1)]
    for column in examples[:, nominal].T:
        parts.append((column[:, None] == np.unique(column)) * np.sqrt(0.5))
    return np.concatenate(parts, 1)


def neighbours(points: Reals) -> Indices:
    """(N,) for each of (N, D) points the nearest other one, the first of equals; in the points' own
    precision. Takes N^2 distances of time, and memory for `BLOCK` of them.

    Raises:
        ValueError: fewer than two points.
    """
    count = len(points)
    if count < 2:
        raise ValueError(f"{count} example(s): a neighbour takes two")
    centred = points - points.mean(0)  # smaller numbers, of which less is lost
    squares = (centred**2).sum(1)
    rows = max(1, BLOCK // count)
    found = np.empty(count, np.int64)
    for start in range(0, count, rows):
        part = slice(start, min(start + rows, count))
        distances = squares - 2 * centred[part] @ centred.T  # but for what a row has in common
        distances[np.arange(part.stop - start), np.arange(start, part.stop)] = np.inf
        found[part] = distances.argmin(1)
    return found


def _once(
    examples: Doubles,
    near: Indices,
    nominal: Bools,
    p: float,
    s: float,
    keys: tuple[int, int],
) -> Doubles:
    """One pass: every example in turn, together with its neighbour, as those before left them."""
    changed = examples.copy()
    places = np.arange(len(examples))[:, None], np.arange(examples.shape[1])
    chosen = uniform(_SWAP, *keys, *places) < p
    noises = [normal(which, *keys, *places) for which in (_FIRST, _SECOND)]
    for e, other in enumerate(near):
        mine, theirs = changed[e].copy(), changed[other].copy()
        sd = np.where(nominal, 0, np.abs(mine - theirs) / s)
        changed[e] = np.where(chosen[e], theirs + sd * noises[0][e], mine)
        changed[other] = np.where(chosen[e], mine + sd * noises[1][e], theirs)
    return changed


def normal(*keys: int | Indices) -> Doubles:
    """One number of the standard normal distribution per hash of the keys (Box, Muller 1958)."""
    radius = np.sqrt(-2 * np.log1p(-uniform(*keys, 0)))
    found: Doubles = radius * np.cos(2 * np.pi * uniform(*keys, 1))
    return found
