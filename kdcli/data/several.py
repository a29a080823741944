"""Images of several splits as one split: those with labels, and further ones without."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kdcli.core.arrays import Indices, Ints, Pixels
from kdcli.data.decoding import Decoding
from kdcli.data.images import USUAL
from kdcli.data.readers import unique_ids
from kdcli.data.source import Reader, Split


@dataclass(frozen=True, eq=False)
class Several:
    """Images of several readers, which decode by the same rule."""

    readers: tuple[Reader, ...]
    which: Indices
    """(n,) numbers of the readers."""
    own: Indices
    """(n,) places in them."""
    place: str = ""

    def __call__(self, i: int) -> Pixels:
        reader, own = self._of(i)
        return reader(own)

    def reduced(self, i: int, side: int) -> Pixels:
        """As its reader does."""
        reader, own = self._of(i)
        return reader.reduced(own, side)

    def unchanged(self, i: int) -> bool:
        """As its reader says."""
        reader, own = self._of(i)
        return reader.unchanged(own)

    def size(self, i: int) -> tuple[int, int]:
        """As its reader says."""
        reader, own = self._of(i)
        return reader.size(own)

    def fingerprint(self, i: int) -> tuple[int, int]:
        """As its reader says."""
        reader, own = self._of(i)
        return reader.fingerprint(own)

    def thumbnail(self, i: int) -> Pixels:
        """As its reader does."""
        reader, own = self._of(i)
        return reader.thumbnail(own)

    @property
    def decoding(self) -> Decoding:
        """Of its files."""
        rules = (getattr(reader, "decoding", None) for reader in self.readers)
        return next((rule for rule in rules if rule), USUAL)

    @property
    def sums(self) -> Ints:
        """(n, 2)."""
        return self._rows([reader.sums for reader in self.readers])

    @property
    def sizes(self) -> Ints:
        """(n, 2)."""
        return self._rows([reader.sizes for reader in self.readers])

    def take(self, rows: Indices) -> "Several":
        """Some of the images."""
        return replace(self, which=self.which[rows], own=self.own[rows])

    def _of(self, i: int) -> tuple[Reader, int]:
        return self.readers[self.which[i]], int(self.own[i])

    def _rows(self, each: Sequence[Ints]) -> Ints:
        starts = np.cumsum([0, *map(len, each)])[self.which]
        return np.concatenate(each)[starts + self.own]


def one_behind_the_other(*splits: Split) -> Split:
    """All of their images; `way_out` is that of the first."""
    lengths = [*map(len, splits)]
    read = Several(
        tuple(split.read for split in splits),
        np.repeat(np.arange(len(splits)), lengths),
        np.concatenate([np.arange(length) for length in lengths]),
    )
    ids = unique_ids(tuple(name for split in splits for name in split.ids))
    labels = np.concatenate([split.labels for split in splits])
    return replace(splits[0], labels=labels, ids=ids, read=read)
