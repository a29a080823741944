"""Which images of two splits were compared before, and which were found alike: kept between runs,
so that of a million images only what has changed is compared again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdcli.core.arrays import Bools, Indices, Pixels
from kdcli.core.row_cache import KEY, places_of, seal, unsealed


@dataclass(frozen=True, eq=False)
class Compared:
    """What is known of two splits."""

    new_one: Bools
    """(n,) images of the one that were not compared with all known ones of the other."""
    new_other: Bools
    """(m,) of the other."""
    pairs: list[tuple[int, int]]
    """Rows (i, j) of images that were found alike; a row j is in one at most."""

    @property
    def is_all(self) -> bool:
        """Nothing is new."""
        return not (self.new_one.any() or self.new_other.any())


def recall(path: Path, one: Pixels, other: Pixels) -> Compared:
    """By the images' contents (n, 16) and (m, 16); a file that is damaged or not there knows
    nothing."""
    before_one, before_other, mine, theirs = _read(path)
    where, paired = places_of(theirs, other)
    rows, still_there = places_of(one, mine)
    holds = paired.copy()
    holds[paired] = still_there[where[paired]]
    partners = rows[where[holds]]
    return Compared(
        ~places_of(before_one, one)[1],
        # whoever has lost its partner may have had another one
        ~places_of(before_other, other)[1] | (paired & ~holds),
        list(zip(partners.tolist(), np.flatnonzero(holds).tolist(), strict=True)),
    )


def remember(path: Path, one: Pixels, other: Pixels, pairs: Sequence[tuple[int, int]]) -> None:
    """That all of these were compared, and none besides: what has gone may come back when others
    are there. Where nothing can be written, nothing is kept."""
    rows: Indices = np.array(pairs, np.int64).reshape(-1, 2)
    counts = np.array([len(one), len(other)], "<i8").view(np.uint8)
    parts = (one, other, one[rows[:, 0]], other[rows[:, 1]])
    seal(path, np.concatenate([counts, *(part.reshape(-1) for part in parts)]))


def _read(path: Path) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """What `remember` was given: all keys, and those of the pairs."""
    content = unsealed(path)
    counts, keys = content[:16].view("<i8").tolist(), content[16:].reshape(-1, KEY)
    first, second = counts or (0, 0)
    pairs = (len(keys) - first - second) // 2
    one, other, mine, theirs = np.split(keys, np.cumsum([first, second, pairs]))
    return one, other, mine, theirs
