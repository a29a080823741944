"""Batches, each a pure function of (seed, epoch, batch number).

An iterator with a state is saved too late, drawn on by workers, or moved by whoever else draws.
Here is none: a batch is made from its number, by whom and when does not matter.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, product

import numpy as np
import torch
from torch.utils.data import Dataset

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError
from kdcli.core.records import Batch
from kdcli.data.ahead import ahead
from kdcli.data.augment import augment
from kdcli.data.balance import balanced
from kdcli.data.mixup import drawn
from kdcli.data.order import (
    VIEWS,
    all_but,
    balanced_partners,
    of_both_kinds,
    pairing,
    passes,
    with_labels,
)
from kdcli.data.packed_batches import Packed
from kdcli.data.processes import by_workers
from kdcli.data.store import Store
from kdcli.data.unlabelled import UNKNOWN
from kdcli.data.workers import worker_count
from kdcli.recipe.data import CROPS

Place = tuple[int, int]
"""Epoch and number of a batch."""
_CPU = torch.device("cpu")
PLAIN_BATCH = 256
"""Images that are asked about together where nothing learns."""


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Full batches in `n` samples; the incomplete last one is dropped unless it is the only one.

    Batch norm and methods that compare images would meet a smaller batch there, of one image
    maybe. Who is left out comes in the next epoch (`order.all_but`).
    """
    return n // min(batch_size, n)


@dataclass(frozen=True)
class Batching:
    """How images become the batches of a training."""

    num_classes: int
    batch_size: int
    epochs: int = 0
    """Of the whole training; 0: this is no training, and the clock of its batches stands at 0."""
    seed: int = 0
    """Of the order. Views are the same for all seeds (`order.VIEWS`)."""
    views: int | None = None
    """Of each image; epochs go round them. None: as many as there are epochs."""
    augment: str | None = None
    randaugment: str | None = None
    image_size: int | None = None
    """Pixels of a side; None is that of the store."""
    label_smoothing: float = 0.0
    balance: str = "none"
    """`sampler`: rare classes come as often as the others."""
    mixup: float = 0.0
    cutmix: float = 0.0
    labelled_share: float | None = None
    """So much of each batch are images with labels, the rest those without; each kind is passed
    through on its own. None: there is one kind."""
    share: tuple[int, int] = (0, 1)
    """Of several processes, which one this is, and how many: it has every so manyth image."""
    samples_per_epoch: int | None = None
    """An epoch is so long a part of a pass over the images, which goes on from epoch to epoch until
    all were seen; None: it is the pass."""

    @property
    def one_by_one(self) -> bool:
        """Whether each image is worked on by itself, rather than all of them at once: crops differ
        in size, and RandAugment is Pillow's."""
        return self.augment in CROPS or self.randaugment is not None

    @property
    def mixes(self) -> bool:
        """Whether images come in pairs."""
        return self.mixup > 0 or self.cutmix > 0


def training_batches(
    store: Store,
    how: Batching,
    epoch: int,
    workers: int | None = None,
    device: torch.device = _CPU,
    done: int = 0,
) -> Iterator[Batch]:
    """The batches from `epoch` (from 0) to the end of the training, shuffled and augmented, on
    `device`, but for the first `done`; of `epoch` alone, where `how` is of no training.

    Each image's view is the epoch, or the number of the pass over the images (of its class, with
    a sampler), counted round `how.views`. `workers` processes make them (None: `$KD_WORKERS`, else
    as the store suggests), and change no bit of them.

    Raises:
        DataError: fewer than 2 images, one that cannot be read, a lost worker process.
        UsageError: `$KD_WORKERS` is no number.
    """
    if len(store) < 2:
        raise DataError(f"{len(store)} training image(s)", "training needs two images or more")
    shown = how.samples_per_epoch or len(store)
    how = replace(how, batch_size=min(how.batch_size, shown))
    steps = steps_per_epoch(shown, how.batch_size)
    epochs = range(epoch, max(how.epochs, epoch + 1))
    return _made(Shuffled(store, how, steps), epochs, steps, workers, device, done)


def view_batches(
    store: Store,
    how: Batching,
    view: int,
    rows: Indices,
    workers: int | None = None,
    device: torch.device = _CPU,
) -> Iterator[Batch]:
    """One view of the images `rows`, in this order, as training makes it; the last batch may be
    smaller. For whoever answers to a view before it is shown."""
    order = InOrder(store, replace(how, epochs=0), rows, np.full(len(rows), view))
    return _made(order, range(1), order.steps, workers, device)


def plain_batches(
    store: Store,
    *,
    num_classes: int,
    batch_size: int = PLAIN_BATCH,
    image_size: int | None = None,
    rows: Indices | None = None,
    workers: int | None = None,
    device: torch.device = _CPU,
) -> Iterator[Batch]:
    """All images in order (or `rows` of them), as they are; the last batch may be smaller: for
    evaluation, where each counts once and batch norm does not look at its neighbours.

    `image_size`, `workers`, `device` and what is raised: as for `training_batches`.
    """
    how = Batching(num_classes, batch_size, image_size=image_size)
    rows = np.arange(len(store)) if rows is None else rows
    return view_batches(store, how, 0, rows, workers, device)


@dataclass(frozen=True, eq=False)
class InOrder(Dataset[Packed]):
    """The batches of one pass over `rows`, each made when it is asked for by its place.

    `rows` and `views`, both (n,), say which place of the store comes when, and as which view.
    """

    store: Store
    how: Batching
    rows: Indices
    views: Indices

    @property
    def steps(self) -> int:
        return -(-len(self.rows) // self.how.batch_size)

    def __getitem__(self, place: Place) -> Packed:
        epoch, number = place
        how = self.how
        part = slice(number * how.batch_size, (number + 1) * how.batch_size)
        first, size = how.share
        rows, views = self.rows[part][first::size], self.views[part][first::size]
        packed = self._with_partners(rows, views) if how.mixes else self._packed(rows, views)
        if not how.epochs:
            return packed
        done = epoch + number / self.steps
        return replace(packed, epoch=done, progress=done / how.epochs)

    def _with_partners(self, rows: Indices, views: Indices) -> Packed:
        """Partners stand in the same batch as a rule (`order.pairing`), and are loaded once."""
        partners = self._partners(rows, views)
        wanted = [*zip(rows.tolist(), views.tolist(), strict=True)]
        wanted += zip(partners.tolist(), views.tolist(), strict=True)
        places = {one: i for i, one in enumerate(dict.fromkeys(wanted))}
        loaded = np.array(list(places))
        found = np.array([places[one] for one in wanted])
        return replace(
            self._packed(loaded[:, 0], loaded[:, 1]),
            rows=rows,
            views=views,
            mix=drawn(self.how.mixup, self.how.cutmix, views, rows),
            mixed=(found[: len(rows)], found[len(rows) :]),
        )

    def _partners(self, rows: Indices, views: Indices) -> Indices:
        if self.how.balance == "sampler":
            return balanced_partners(self._members, views, rows)
        found = np.empty_like(rows)
        for view in np.unique(views).tolist():
            found[views == view] = pairing(view, len(self.store))[0][rows[views == view]]
        return found

    @cached_property
    def _members(self) -> list[Indices]:
        labels = self.store.labels
        return [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def _packed(self, rows: Indices, views: Indices) -> Packed:
        how = self.how
        images = augment(
            self.store,
            how.augment,
            VIEWS,
            views,
            rows,
            size=how.image_size,
            randaugment=how.randaugment,
        )
        return Packed(images.numpy(), self.store.labels[rows], rows, views)


class Shuffled(Dataset[Packed]):
    """The batches of all epochs; who makes them keeps the order of one."""

    def __init__(self, store: Store, how: Batching, steps: int) -> None:
        """`steps` of an epoch."""
        self.store, self.how, self._steps = store, how, steps
        self._epoch: tuple[int, InOrder] | None = None

    def __getitem__(self, place: Place) -> Packed:
        if self._epoch is None or self._epoch[0] != place[0]:
            self._epoch = place[0], self._ordered(place[0])
        return self._epoch[1][place]

    def _ordered(self, epoch: int) -> InOrder:
        how, n, slots = self.how, len(self.store), self._steps * self.how.batch_size
        views = how.views or max(how.epochs, epoch + 1)
        if how.balance == "sampler":
            rows, which = balanced(how.seed, epoch, self.store.labels, slots)
        elif how.labelled_share:
            known = self.store.labels != UNKNOWN
            batch = how.batch_size, with_labels(how.batch_size, how.labelled_share)
            rows, which = of_both_kinds(how.seed, epoch, known, self._steps, *batch)
        elif how.samples_per_epoch:
            rows, which = passes(how.seed, epoch * slots, (epoch + 1) * slots, n)
        else:
            together = pairing(epoch % views, n)[1] if how.mixes else None
            rows = all_but(how.seed, epoch, n, slots, together)
            which = np.full(len(rows), epoch)
        return InOrder(self.store, how, rows, which % views if how.views else which)


def _made(
    batches: InOrder | Shuffled,
    epochs: range,
    steps: int,
    workers: int | None,
    device: torch.device,
    done: int = 0,
) -> Iterator[Batch]:
    how = batches.how
    count = worker_count(batches.store.workers) if workers is None else workers
    count = min(count, len(epochs) * steps - done)
    places = islice(product(epochs, range(steps)), done, None)
    packed = by_workers(batches, places, count) if count else _here(batches, places)
    return ahead(
        packed, lambda one: one.batch(how.num_classes, how.label_smoothing, device), device
    )


def _here(batches: InOrder | Shuffled, places: Iterable[Place]) -> Iterator[Packed]:
    for place in places:
        with _one_thread() if batches.how.one_by_one else nullcontext():
            packed = batches[place]
        yield packed


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in a worker process: over single images threads wait for each other more than they work.

    Where cores are shared, two of them took up to thirty times as long as one (three times when
    measured again: 32 crops of 256 pixels, 206 ms and 64). Not for nothing: going back to more
    threads costs the step behind it some milliseconds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
