"""Small stores of images, and the batches made of them."""

from itertools import islice
from typing import Any

import numpy as np
import torch

from kdcli.core.progress import Silent
from kdcli.core.records import Batch
from kdcli.data.loader import Batching, steps_per_epoch, training_batches
from kdcli.data.readers import ArrayImages
from kdcli.data.source import Split
from kdcli.data.store import Store, open_store

SIZE = 12


def split(n: int = 21) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return Split(np.arange(n) % 3, tuple(map(str, range(n))), ArrayImages(images))


def store(kind: str = "memory", n: int = 21) -> Store:
    return open_store(split(n), SIZE, Silent(), limit_bytes=0 if kind == "on demand" else 2 << 30)


def training(of: Store, **changes: Any) -> list[Batch]:
    settings = {"augment": "shift", "label_smoothing": 0.1, "epochs": 4} | changes
    epoch, workers = settings.pop("epoch", 1), settings.pop("workers", 0)
    how = Batching(num_classes=3, **{"batch_size": 4} | settings)
    steps = steps_per_epoch(how.samples_per_epoch or len(of) or 1, how.batch_size)
    return list(islice(training_batches(of, how, epoch, workers), steps))


def same(left: list[Batch], right: list[Batch]) -> bool:
    fields = ("images", "labels", "targets", "index", "view")
    return len(left) == len(right) and all(
        (a.epoch, a.progress) == (b.epoch, b.progress)
        and all(torch.equal(getattr(a, field), getattr(b, field)) for field in fields)
        for a, b in zip(left, right, strict=True)
    )
