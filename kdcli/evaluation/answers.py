"""One finished model, asked about every image."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kdcli.core.arrays import Floats
from kdcli.core.progress import Progress
from kdcli.core.records import Panel
from kdcli.core.text import counted
from kdcli.data.loader import plain_batches
from kdcli.data.store import Store
from kdcli.models.loading import load
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap, predict

Logits = Floats

BATCH = 256
"""Images that are asked about together, without gradients."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One model's answers; the model itself is let go."""

    file: Path
    args: ModelArgs
    classes: tuple[str, ...]
    provenance: dict[str, Any]
    logits: Logits
    """(N, K)."""


def ask(file: Path, store: Store, device: torch.device) -> Asked:
    """Ask the model of a model.pt about every image, in fp32, whatever it was trained in.

    Raises:
        DamagedFile: a file that holds no such model.
    """
    model = load(file)
    logits = answers_of(Tap(model.module, model.args, "").to(device), store, device)
    return Asked(file, model.args, model.file.classes, model.file.provenance, logits)


def answers_of(
    tap: Tap,
    store: Store,
    device: torch.device,
    ticks: Iterable[int] = repeat(0),
    image_size: int | None = None,
) -> Logits:
    """(N, K) logits of one model, in fp32; one of `ticks` is drawn for each batch."""
    batches = plain_batches(
        store,
        num_classes=tap.args.num_classes,
        batch_size=BATCH,
        image_size=image_size,
        device=device,
    )
    return predict(tap, (batch for batch, _ in zip(batches, ticks, strict=False)), device)


def counted_batches(models: int, store: Store, progress: Progress) -> Generator[int]:
    """What `answers_of` draws one from for each batch, with a bar for all models together."""
    total = models * -(-len(store) // BATCH)
    return progress.track(
        range(total), total, f"{counted(models, 'model')} asked about {len(store):,} images"
    )


def together(answers: Iterable[Logits], panel: Panel) -> Logits:
    """`functional.as_one` of (N, K) logits that come one after another; only their running mean is
    kept."""
    mean: torch.Tensor | None = None
    add = torch.add if panel.aggregate == "logits" else torch.logaddexp
    for weight, logits in zip(panel.weights, answers, strict=True):
        share = _share(torch.from_numpy(logits), weight, panel)
        mean = share if mean is None else add(mean, share, out=mean)
    assert mean is not None
    found: Logits = mean.numpy()
    return found


def _share(logits: torch.Tensor, weight: float, panel: Panel) -> torch.Tensor:
    if panel.aggregate == "logits":
        return weight * logits
    return F.log_softmax(logits, 1) + float(np.log(weight))
