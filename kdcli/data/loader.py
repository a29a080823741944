"""Batches, each a pure function of (seed, epoch, batch number)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError, KdError
from kdcli.core.records import Batch
from kdcli.data.augment import augment
from kdcli.data.balance import balanced
from kdcli.data.mixup import mixed
from kdcli.data.order import hashes, passes, permutation
from kdcli.data.store import Store, open_store
from kdcli.data.workers import LONGEST_WAIT, lost_worker, worker_count

__all__ = ["Store", "open_store", "plain_batches", "steps_per_epoch", "training_batches"]

_MIX = 0x6D6978
"""Keeps how batches are mixed apart from other numbers of the same seed."""


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Full batches in `n` samples; the incomplete last one is dropped unless it is the only one."""
    return n // min(batch_size, n)


def training_batches(
    store: Store,
    *,
    num_classes: int,
    batch_size: int,
    seed: int,
    augment: str | None,
    label_smoothing: float,
    epoch: int,
    epochs: int,
    balance: str = "none",
    mixup: float = 0.0,
    cutmix: float = 0.0,
    randaugment: str | None = None,
    image_size: int | None = None,
    samples_per_epoch: int | None = None,
    workers: int | None = None,
) -> Iterator[Batch]:
    """The batches of one epoch, shuffled and augmented; `epoch` counts from 0 and is the view.

    With balance="sampler" rare classes come as often as the others, and the view counts the
    passes over their images. With mixup or cutmix, which need pairs, a batch of an odd size is
    one image smaller. With `samples_per_epoch` an epoch is a part of a pass over the images, which
    goes on from epoch to epoch until all were seen; the view counts the passes. `image_size` None
    is that of the store. `workers` processes make them (None: `$KD_WORKERS`, else as the store
    suggests), and change no bit of them.

    Raises:
        DataError: fewer than 2 images, one that cannot be read, a lost worker process.
        UsageError: `$KD_WORKERS` is no number.
    """
    if len(store) < 2:
        raise DataError(f"{len(store)} training image(s)", "training needs two images or more")
    shown = samples_per_epoch or len(store)
    size = min(batch_size, shown)
    steps = steps_per_epoch(shown, size)
    size -= size % 2 if mixup or cutmix else 0
    if balance == "sampler":
        rows, views = balanced(seed, epoch, store.labels, steps * size)
    elif samples_per_epoch:
        rows, views = passes(seed, epoch * steps * size, (epoch + 1) * steps * size, len(store))
    else:
        rows = permutation(seed, epoch, len(store))[: steps * size]
        views = np.full(len(rows), epoch)
    batches = Batches(
        store=store,
        rows=rows,
        views=views,
        batch_size=size,
        num_classes=num_classes,
        seed=seed,
        augment=augment,
        randaugment=randaugment,
        image_size=image_size,
        label_smoothing=label_smoothing,
        mixup=mixup,
        cutmix=cutmix,
        epoch=epoch,
        epochs=epochs,
    )
    return _made(batches, worker_count(store.workers) if workers is None else workers)


def plain_batches(
    store: Store,
    *,
    num_classes: int,
    batch_size: int = 256,
    image_size: int | None = None,
    workers: int | None = None,
) -> Iterator[Batch]:
    """All images in order, as they are; the last batch may be smaller.

    `image_size`, `workers` and what is raised: as for `training_batches`.
    """
    rows, views = np.arange(len(store)), np.zeros(len(store), np.int64)
    batches = Batches(store, rows, views, batch_size, num_classes, image_size=image_size)
    return _made(batches, worker_count(store.workers) if workers is None else workers)


@dataclass(frozen=True, eq=False)
class Batches(Dataset[Batch]):
    """The batches of one pass over `rows`, each made when it is asked for by its number."""

    store: Store
    rows: Indices
    views: Indices
    batch_size: int
    num_classes: int
    seed: int = 0
    augment: str | None = None
    randaugment: str | None = None
    image_size: int | None = None
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    epoch: int = 0
    epochs: int | None = None
    """Of the whole training; None: this is no training, and the clock stands at 0."""

    @property
    def one_by_one(self) -> bool:
        """Whether each image is worked on by itself, rather than all of them at once."""
        return self.augment == "crop_flip" or self.randaugment is not None

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        batch = self._unmixed(number)
        if not (self.mixup or self.cutmix):
            return batch
        return mixed(
            batch, self.mixup, self.cutmix, int(hashes(_MIX, self.seed, self.epoch, number))
        )

    def _unmixed(self, number: int) -> Batch:
        part = slice(number * self.batch_size, (number + 1) * self.batch_size)
        rows, views = self.rows[part], self.views[part]
        labels = torch.from_numpy(self.store.labels[rows])
        epoch = self.epoch + number / len(self) if self.epochs else 0.0
        images = augment(
            self.store.fetch(rows),
            self.augment,
            self.seed,
            views,
            rows,
            size=self.image_size,
            randaugment=self.randaugment,
        )
        return Batch(
            images=images,
            labels=labels,
            targets=smooth(labels, self.num_classes, self.label_smoothing),
            index=torch.from_numpy(rows),
            view=torch.from_numpy(views),
            epoch=epoch,
            progress=epoch / self.epochs if self.epochs else 0.0,
        )


def smooth(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Targets (B, K), float32: 1 - smoothing on the label, the rest spread over all K classes.

    An unknown label (-1) becomes the uniform distribution.
    """
    known = F.one_hot(labels.clamp(min=0), num_classes).float()
    targets = known * (1 - smoothing) + smoothing / num_classes
    return torch.where(labels[:, None] < 0, 1 / num_classes, targets)


def _made(batches: Batches, workers: int) -> Iterator[Batch]:
    workers = min(workers, len(batches))
    if workers == 0:
        for number in range(len(batches)):
            with _one_thread() if batches.one_by_one else nullcontext():
                batch = batches[number]
            yield batch
        return
    # A generator of its own: the DataLoader would draw from the global one.
    loader = DataLoader(
        _Answers(batches),
        batch_size=None,
        num_workers=workers,
        generator=torch.Generator(),
        timeout=LONGEST_WAIT,
    )
    try:
        for answer in loader:
            if isinstance(answer, KdError):
                raise answer
            yield answer
    except RuntimeError as error:
        if lost := lost_worker(error):
            raise lost from error
        raise


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in a worker process: over single images threads wait for each other more than they work.

    Where cores are shared, two of them took up to thirty times as long as one. Not for nothing:
    going back to more threads costs the step behind it some milliseconds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, eq=False)
class _Answers(Dataset[Batch | KdError]):
    """Batches, or the error met; a raised one would come wrapped in the worker's traceback."""

    batches: Batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch | KdError:
        try:
            return self.batches[number]
        except KdError as error:
            return error
