"""What several finished models answer as one; they are asked one after another."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from kdcli.commands.loading import load
from kdcli.data.loader import Store, plain_batches
from kdcli.errors import counted
from kdcli.models.tap import Tap, predict
from kdcli.progress import Progress
from kdcli.records import Panel

Logits = NDArray[np.float32]

BATCH = 256


def ensemble_answers(
    files: Sequence[Path], panel: Panel, store: Store, device: torch.device, progress: Progress
) -> Logits:
    """(N, K) logits with which the models in `files` (model.pt) answer as one, as
    `functional.as_one` says: log-probabilities, or mean logits.

    Each is loaded, asked about every image, and let go; memory does not grow with their number.

    Raises:
        DamagedFile: a file that holds no such model.
    """
    with closing(counted_batches(len(files), store, progress)) as ticks:
        taps = map(open_member, files, repeat(device))
        answers = map(answers_of, taps, repeat(store), repeat(device), repeat(ticks))
        return together(answers, panel)


def counted_batches(models: int, store: Store, progress: Progress) -> Generator[int]:
    """What `answers_of` draws one from for each batch, with a bar for all models together."""
    total = models * -(-len(store) // BATCH)
    return progress.track(
        range(total), total, f"{counted(models, 'model')} asked about {len(store):,} images"
    )


def open_member(path: Path, device: torch.device) -> Tap:
    """A finished model, ready to be asked."""
    loaded = load(path)
    return Tap(loaded.module, loaded.args, "").to(device)


def answers_of(
    tap: Tap,
    store: Store,
    device: torch.device,
    ticks: Iterable[int],
    image_size: int | None = None,
) -> Logits:
    """(N, K) logits of one model, in fp32."""
    batches = plain_batches(
        store, num_classes=tap.args.num_classes, batch_size=BATCH, image_size=image_size
    )
    return predict(tap, (batch for batch, _ in zip(batches, ticks, strict=False)), device)


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
