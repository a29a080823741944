"""The ways in which a split reads one image; classes, so that worker processes can take them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcli.data.images import read_image


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files by their paths relative to `root`."""

    root: Path
    names: tuple[str, ...]

    def __call__(self, i: int) -> NDArray[np.uint8]:
        return read_image(self.root / self.names[i])


@dataclass(frozen=True, eq=False)
class GreyImages:
    """Grey images in memory, uint8 (n, H, W), repeated to RGB."""

    images: NDArray[np.uint8]

    def __call__(self, i: int) -> NDArray[np.uint8]:
        return np.repeat(self.images[i][..., None], 3, axis=2)
