"""Synthetic images, made when they are asked for: each a pure function of (seed, its place).

So the teachers label, and the student is shown, the same images, though neither has them on disk.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdcli.core.arrays import Doubles, Indices
from kdcli.data.crops import crops
from kdcli.data.order import uniform
from kdcli.data.store import Store, gathered
from kdcli.recipe.data import Pool

_FIRST, _SECOND, _SHARE, _SWAP = (0x706F6F6C00 + number for number in range(4))
"""Keep the draws apart from each other, and from other numbers of the same seed."""


@dataclass(frozen=True, eq=False)
class Pooled:
    """The images of a store, and behind them `settings.times` as many synthetic ones.

    `mixup` blends two of them that are drawn, in shares drawn evenly from [0, 1] (arXiv:1710.09412
    with alpha 1). `munge_patch` takes each in turn and swaps patches on a grid with those of its
    nearest neighbour: MUNGE (Bucila, Caruana, Niculescu-Mizil 2006), for which single pixels say
    too little. No label is known of the synthetic ones (-1).

    MUNGE draws each attribute from near the neighbour's; a pixel says so little that this would be
    noise. The neighbours are nearest in the first teacher's embedding, not in pixels.
    """

    store: Store
    settings: Pool
    seed: int
    neighbours: Indices | None = None
    """(n,) of `munge_patch`: each image's nearest one."""

    @property
    def labels(self) -> Indices:
        return np.concatenate([self.store.labels, np.full(len(self) - len(self.store), -1)])

    @property
    def workers(self) -> int:
        return self.store.workers

    def __len__(self) -> int:
        return len(self.store) * (1 + self.settings.times)

    def fetch(self, index: Indices) -> Tensor:
        # one fetch for originals and for the first halves of the synthetic ones
        made = np.flatnonzero(index >= len(self.store))
        sources = index.copy()
        sources[made] = self._first(index[made])
        images = self.store.fetch(sources)
        if not len(made):
            return images
        places = torch.from_numpy(made)
        return images.index_copy(0, places, self._synthetic(index[made], images[places]))

    def crops(self, index: Indices, draws: Doubles, size: int | None) -> Tensor:
        def of(made: int, places: Indices) -> Tensor:
            # originals from the whole picture; what is made of them is square
            own, parts = index[places], draws[places]
            return (
                crops(self.fetch(own), parts, size) if made else self.store.crops(own, parts, size)
            )

        return gathered((index >= len(self.store)).astype(np.int64), of)

    def _first(self, index: Indices) -> Indices:
        if self.settings.by == "munge_patch":
            return index % len(self.store)
        return self._drawn(_FIRST, index)

    def _synthetic(self, index: Indices, images: Tensor) -> Tensor:
        if self.settings.by == "munge_patch":
            assert self.neighbours is not None
            others = self.store.fetch(self.neighbours[index % len(self.store)])
            return torch.where(self._swapped(index, images.shape[-1]), others, images)
        others = self.store.fetch(self._drawn(_SECOND, index))
        share = torch.from_numpy(uniform(_SHARE, self.seed, index)).float().view(-1, 1, 1, 1)
        # whole levels, as a store has them: what teachers label is what the student sees
        return (share * images + (1 - share) * others).round().to(torch.uint8)

    def _drawn(self, which: int, index: Indices) -> Indices:
        return (uniform(which, self.seed, index) * len(self.store)).astype(np.int64)

    def _swapped(self, index: Indices, side: int) -> Tensor:
        """(B, 1, S, S): which pixels are the neighbour's."""
        cells = np.arange(self.settings.grid)
        draws = uniform(_SWAP, self.seed, index[:, None, None], cells[:, None], cells)
        cell = np.arange(side) * self.settings.grid // side
        swapped = (draws < self.settings.swap)[:, cell[:, None], cell]
        return torch.from_numpy(swapped)[:, None]
