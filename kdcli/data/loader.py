"""Batches, each a pure function of (seed, epoch, batch number).

Nearly every framework's trouble with resuming in the middle of data is an iterator that has a
state: it is saved too late, drawn on by workers, or moved by whoever else draws. Here is none; a
batch is made from its number, by whom and when does not matter.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError, KdError
from kdcli.core.records import Batch
from kdcli.data.augment import CROPPED, augment, unit
from kdcli.data.balance import balanced
from kdcli.data.mixup import mixed
from kdcli.data.order import all_but, hashes, passes
from kdcli.data.packed_batches import Packed, as_it_is, packed, unpacked
from kdcli.data.store import Store
from kdcli.data.workers import LONGEST_WAIT, lost_worker, refuse_no_workers, worker_count

_MIX = 0x6D6978
"""Keeps how batches are mixed apart from other numbers of the same seed."""


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
    """Of an odd one, mixup and cutmix, which need pairs, leave the last image out."""
    epochs: int = 0
    """Of the whole training; 0: this is no training, and the clock of its batches stands at 0."""
    seed: int = 0
    augment: str | None = None
    randaugment: str | None = None
    image_size: int | None = None
    """Pixels of a side; None is that of the store."""
    label_smoothing: float = 0.0
    balance: str = "none"
    """`sampler`: rare classes come as often as the others."""
    mixup: float = 0.0
    cutmix: float = 0.0
    samples_per_epoch: int | None = None
    """An epoch is so long a part of a pass over the images, which goes on from epoch to epoch until
    all were seen; None: it is the pass."""

    @property
    def one_by_one(self) -> bool:
        """Whether each image is worked on by itself, rather than all of them at once: crops differ
        in size, and RandAugment is Pillow's."""
        return self.augment in CROPPED or self.randaugment is not None

    @property
    def mixes(self) -> bool:
        """Whether images come in pairs."""
        return self.mixup > 0 or self.cutmix > 0


def training_batches(
    store: Store, how: Batching, epoch: int, workers: int | None = None
) -> Iterator[Batch]:
    """The batches of one epoch, shuffled and augmented; `epoch` counts from 0.

    Each image's view is the epoch, or the number of the pass over the images (of its class, with
    a sampler). `workers` processes make them (None: `$KD_WORKERS`, else as the store suggests),
    and change no bit of them.

    Raises:
        DataError: fewer than 2 images, one that cannot be read, a lost worker process.
        UsageError: `$KD_WORKERS` is no number.
    """
    if len(store) < 2:
        raise DataError(f"{len(store)} training image(s)", "training needs two images or more")
    shown = how.samples_per_epoch or len(store)
    size = min(how.batch_size, shown)
    steps = steps_per_epoch(shown, size)
    # after the steps are counted, so that mixing makes as many as not mixing
    size -= size % 2 if how.mixes else 0
    if how.balance == "sampler":
        rows, views = balanced(how.seed, epoch, store.labels, steps * size)
    elif how.samples_per_epoch:
        first, last = epoch * steps * size, (epoch + 1) * steps * size
        rows, views = passes(how.seed, first, last, len(store))
    else:
        rows = all_but(how.seed, epoch, len(store), steps * size)
        views = np.full(len(rows), epoch)
    batches = Batches(store, replace(how, batch_size=size), rows, views, epoch)
    return _made(batches, worker_count(store.workers) if workers is None else workers)


def plain_batches(
    store: Store,
    *,
    num_classes: int,
    batch_size: int = 256,
    image_size: int | None = None,
    workers: int | None = None,
) -> Iterator[Batch]:
    """All images in order, as they are; the last batch may be smaller: for evaluation, where every
    image counts once and batch norm does not look at its neighbours.

    `image_size`, `workers` and what is raised: as for `training_batches`.
    """
    rows, views = np.arange(len(store)), np.zeros(len(store), np.int64)
    batches = Batches(store, Batching(num_classes, batch_size, image_size=image_size), rows, views)
    return _made(batches, worker_count(store.workers) if workers is None else workers)


@dataclass(frozen=True, eq=False)
class Batches(Dataset[Batch]):
    """The batches of one pass over `rows`, each made when it is asked for by its number.

    `rows` and `views`, both (n,), say which place of the store comes when, and as which view.
    """

    store: Store
    how: Batching
    rows: Indices
    views: Indices
    epoch: int = 0

    def __len__(self) -> int:
        return -(-len(self.rows) // self.how.batch_size)

    def __getitem__(self, number: int) -> Batch:
        batch, how = self._unmixed(number), self.how
        if not how.mixes:
            return batch
        # by epoch and number, not by view: mixing belongs to the batch, not to an image
        return mixed(batch, how.mixup, how.cutmix, int(hashes(_MIX, how.seed, self.epoch, number)))

    def _unmixed(self, number: int) -> Batch:
        how = self.how
        part = slice(number * how.batch_size, (number + 1) * how.batch_size)
        rows, views = self.rows[part], self.views[part]
        labels = torch.from_numpy(self.store.labels[rows])
        epoch = self.epoch + number / len(self) if how.epochs else 0.0
        images = augment(
            self.store,
            how.augment,
            how.seed,
            views,
            rows,
            size=how.image_size,
            randaugment=how.randaugment,
        )
        return Batch(
            images=unit(images),
            labels=labels,
            targets=smooth(labels, how.num_classes, how.label_smoothing),
            index=torch.from_numpy(rows),
            view=torch.from_numpy(views),
            epoch=epoch,
            progress=epoch / how.epochs if how.epochs else 0.0,
        )


def smooth(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Targets (B, K), float32: 1 - smoothing on the label, the rest spread over all K classes
    (Szegedy et al. 2015, arXiv:1512.00567), so that the label has a little more than 1 - smoothing.

    An unknown label (-1) becomes the uniform distribution.
    """
    known = F.one_hot(labels.clamp(min=0), num_classes).float()
    targets = known * (1 - smoothing) + smoothing / num_classes
    return torch.where(labels[:, None] < 0, 1 / num_classes, targets)


def _made(batches: Batches, workers: int) -> Iterator[Batch]:
    workers = min(workers, len(batches))
    if workers == 0:
        for number in range(len(batches)):
            with _one_thread() if batches.how.one_by_one else nullcontext():
                batch = batches[number]
            yield batch
        return
    refuse_no_workers(workers)
    # A generator of its own: the DataLoader would draw from the global one. batch_size=None: what
    # the data set hands out are batches already. Workers live as long as this epoch, whose rows
    # they have been given.
    loader = DataLoader(
        _Answers(batches),
        batch_size=None,
        num_workers=workers,
        collate_fn=as_it_is,
        generator=torch.Generator(),
        timeout=LONGEST_WAIT,
    )
    try:
        for answer in loader:
            if isinstance(answer, KdError):
                raise answer
            yield unpacked(answer)
    except RuntimeError as error:  # torch says so of a worker that died, by its words alone
        if lost := lost_worker(error):
            raise lost from error
        raise


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


@dataclass(frozen=True, eq=False)
class _Answers(Dataset[Packed | KdError]):
    """Batches, or the error met; a raised one would come wrapped in the worker's traceback."""

    batches: Batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Packed | KdError:
        try:
            return packed(self.batches[number])
        except KdError as error:
            return error
