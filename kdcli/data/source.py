"""What a data source is, whatever it was read from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 10_000_000
"""Parameters above which a model takes the source's schedule for large models."""


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images that are read one at a time."""

    labels: NDArray[np.int64]
    """(n,) indices into the source's classes."""
    ids: tuple[str, ...]
    """What names each image in files that a run writes; unique within the source."""
    read: Callable[[int], NDArray[np.uint8]]
    """Index to one image, uint8 (H, W, 3) of any size; can be pickled, for worker processes."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Schedule:
    """What `auto` means for the training of one size of model."""

    epochs: int
    batch_size: int
    lr: float
    patience: int | None
    """Epochs without a better validation accuracy after which training stops; None: never."""


@dataclass(frozen=True, eq=False)
class Defaults:
    """What `auto` means for this data."""

    image_size: int
    """Pixels of the square side."""
    augment: str | None
    """One of `augment.AUGMENTS`."""
    pretrained: bool
    small: Schedule
    large: Schedule
    own_size: bool = False
    """Photographs: each model's own image size is better than `image_size`."""

    def schedule(self, params: int) -> Schedule:
        """The schedule for a model of `params` parameters."""
        return self.large if params > LARGE else self.small


@dataclass(frozen=True, eq=False)
class Source:
    """Three splits of one data set, and what is known of it."""

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    identity: dict[str, Any]
    """JSON: what the data depends on, wherever it lies."""
    defaults: Defaults
    notes: tuple[str, ...] = ()
    """Lines to be said aloud."""
    carved: dict[str, list[str]] = field(default_factory=dict)
    """Ids of each split that was made on the fly."""
    is_default: bool = False
    """Nobody asked for this data by name."""
