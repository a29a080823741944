"""What a data source is, whatever it was read from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from kdcli.core.arrays import Indices, Ints, Pixels
from kdcli.core.errors import DataError
from kdcli.data.decoding import Decoding

LARGE = 10_000_000
"""Parameters above which a model takes the source's schedule for large models: between usual
students (mobilenetv3_large_100 has 5.5 M) and usual teachers (resnet18 has 11.7 M). A large one
costs more per epoch, and needs fewer of them at a lower rate."""


class Reader(Protocol):
    """How the images of a split are read, by their place in it; can be pickled for workers.

    Several threads may call it at once.
    """

    @property
    def sums(self) -> Ints:
        """(n, 2), of each image's whole content, known since the source was opened; (-1, -1) for
        what cannot be read."""

    @property
    def sizes(self) -> Ints:
        """(n, 2), width and height in pixels as stored, known likewise; zeros where no header can
        be read."""

    @property
    def place(self) -> str:
        """Where the images lie: what is found out about them is kept by it; empty: nothing is."""

    def __call__(self, i: int) -> Pixels:
        """The image, uint8 (H, W, 3) of any size; raises DataError."""

    def reduced(self, i: int, side: int) -> Pixels:
        """The same at a half, a quarter, ... of its size, the smallest whose sides have `side`
        pixels (`images.reduction`)."""

    def size(self, i: int) -> tuple[int, int]:
        """Width and height in pixels, without decoding the image; raises DataError."""

    def fingerprint(self, i: int) -> tuple[int, int]:
        """A row of `sums`."""

    def unchanged(self, i: int) -> bool:
        """Whether it is what it was when the source was opened."""

    def thumbnail(self, i: int) -> Pixels:
        """(16, 16) uint8, grey (`near_doubles`), as cheaply as its format allows; raises
        DataError."""

    def take(self, rows: Indices) -> "Reader":
        """The same for some of the images."""


def at(names: Sequence[str], rows: Indices) -> tuple[str, ...]:
    """Some of the names, by their places."""
    return tuple(map(names.__getitem__, rows.tolist()))


OUT = "repair these files, or take them out; kd puts no other image in their place"


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images that are read one at a time.

    A split may be larger than memory: a `store` decides how much of it is decoded at once.
    """

    labels: Indices
    """(n,) indices into the source's classes."""
    ids: tuple[str, ...]
    """What names each image in files that a run writes; unique within the source."""
    read: Reader
    way_out: str = OUT
    """Said where images cannot be read."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Indices) -> "Split":
        """Some of the images."""
        ids = at(self.ids, rows)
        return replace(self, labels=self.labels[rows], ids=ids, read=self.read.take(rows))

    def sample(self, n: int) -> "Split":
        """At most `n` of the images, spread evenly over the split."""
        return self.take(np.linspace(0, len(self) - 1, min(n, len(self))).round().astype(np.int64))


@dataclass(frozen=True, eq=False)
class Schedule:
    """What `auto` means for the training of one size of model.

    Choose rate and epochs by the validation accuracy of the baseline, never by the student's lead
    over it: a baseline that has not converged makes any teacher look good.
    """

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
    """JSON: what the data depends on, wherever it lies. In the digest of every run: a key that is
    added or spelt otherwise orphans all of them (`RULES` in runs/spec.py)."""
    defaults: Defaults
    notes: tuple[str, ...] = ()
    """Lines to be said aloud."""
    ignored: tuple[str, ...] = ()
    """Files that are no images of a class."""
    carved: dict[str, list[str]] = field(default_factory=dict)
    """Ids of each split that was made on the fly."""
    is_default: bool = False
    """Nobody asked for this data by name."""
    unlabelled: Split | None = None
    """Further images, whose labels nobody knows (-1); of no model's test."""
    decoding: Decoding = field(default_factory=Decoding)
    """The rule by which all its splits are read."""

    @property
    def splits(self) -> dict[str, Split]:
        """By their names."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True, eq=False)
class NewImages:
    """Labelled images to measure a finished model on; nothing to train with."""

    name: str
    classes: tuple[str, ...]
    images: Split
    notes: tuple[str, ...] = ()
    """Lines to be said aloud."""


def refuse_changed_images(split: Split, rows: Iterable[int]) -> None:
    """Raise DataError, naming one, where images are not what they were when the source was opened:
    nothing that was made of them is to be kept under their sums."""
    for row in rows:
        if not split.read.unchanged(row):
            raise DataError(
                f"{split.ids[row]}: changed while kd was at work",
                "the same command again takes the images as they are now",
            )


NAMED = 10
"""Images that a message names; the rest is counted."""


BACK = "repair these files, or bring them back; without them these are not the run's data"
"""Where a run was made with them: to take them out would make it another run's data."""


def broken(errors: Sequence[DataError], total: int, fix: str = OUT) -> DataError:
    """One error for all of them, of which there is at least one: the first ten, then the count.

    `total` is how many images were looked at. Nothing is put in their place: where a loader takes
    the next image instead, as timm's does, an epoch has some images twice and nobody knows.
    """
    if len(errors) == 1:
        return DataError(errors[0].what, fix)
    lines = [f"  {error.what}" for error in errors[:NAMED]]
    lines += [f"  and {len(errors) - NAMED:,} more"] if len(errors) > NAMED else []
    head = f"{len(errors):,} of {total:,} images cannot be read:"
    return DataError("\n".join([head, *lines]), fix)
