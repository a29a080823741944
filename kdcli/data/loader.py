"""Batches, each a pure function of (seed, epoch, batch number)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kdcli.data.augment import augment
from kdcli.data.order import permutation
from kdcli.data.store import Store, open_store
from kdcli.errors import DataError, KdError
from kdcli.records import Batch

__all__ = ["Store", "open_store", "plain_batches", "steps_per_epoch", "training_batches"]


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
    workers: int | None = None,
) -> Iterator[Batch]:
    """The batches of one epoch, shuffled and augmented; `epoch` counts from 0 and is the view.

    `workers` processes make them (None: as the store suggests), and change no bit of them.
    Raises DataError for fewer than 2 images.
    """
    if len(store) < 2:
        raise DataError(f"{len(store)} training image(s)", "training needs two images or more")
    size = min(batch_size, len(store))
    steps = steps_per_epoch(len(store), size)
    rows = permutation(seed, epoch, len(store))[: steps * size]
    batches = Batches(store, rows, size, num_classes, seed, augment, label_smoothing, epoch, epochs)
    return _made(batches, store.workers if workers is None else workers)


def plain_batches(
    store: Store, *, num_classes: int, batch_size: int = 256, workers: int | None = None
) -> Iterator[Batch]:
    """All images in order, as they are; the last batch may be smaller."""
    batches = Batches(store, np.arange(len(store)), batch_size, num_classes)
    return _made(batches, store.workers if workers is None else workers)


@dataclass(frozen=True, eq=False)
class Batches(Dataset[Batch]):
    """The batches of one pass over `rows`, each made when it is asked for by its number."""

    store: Store
    rows: NDArray[np.int64]
    batch_size: int
    num_classes: int
    seed: int = 0
    augment: str | None = None
    label_smoothing: float = 0.0
    epoch: int = 0
    epochs: int | None = None
    """Of the whole training; None: this is no training, and the clock stands at 0."""

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        rows = self.rows[number * self.batch_size : (number + 1) * self.batch_size]
        view = np.full(len(rows), self.epoch)
        labels = torch.from_numpy(self.store.labels[rows])
        epoch = self.epoch + number / len(self) if self.epochs else 0.0
        return Batch(
            images=augment(self.store.fetch(rows), self.augment, self.seed, view, rows),
            labels=labels,
            targets=smooth(labels, self.num_classes, self.label_smoothing),
            index=torch.from_numpy(rows),
            view=torch.from_numpy(view),
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
    if workers == 0:
        for number in range(len(batches)):
            yield batches[number]
        return
    # A generator of its own: the DataLoader would draw from the global one.
    loader = DataLoader(
        _Answers(batches),
        batch_size=None,
        num_workers=workers,
        generator=torch.Generator(),
    )
    for answer in loader:
        if isinstance(answer, KdError):
            raise answer
        yield answer


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
