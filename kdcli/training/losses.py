"""One step's losses: what the labels cost, and what all terms come to."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdcli.core.records import Batch, Learner
from kdcli.training.processes.exchange import current, summed, summing


@dataclass(frozen=True, eq=False)
class Losses:
    """One step's scalars; terms in the recipe's order, `task` first."""

    total: Tensor
    terms: dict[str, Tensor]
    """Unweighted."""
    weights: dict[str, float]
    correct: Tensor
    """() how many images the first learner got right."""


def task_loss(
    learners: tuple[Learner, ...],
    batch: Batch,
    class_weights: Tensor | None = None,
    all_known: bool = False,
) -> Tensor:
    """Cross-entropy with the targets, the mean over images whose labels are known, weighted over
    learners and classes; float32 scalar, 0 where no label is known.

    Targets are distributions (smoothed, mixed), for which torch divides by the number of images,
    and not, as for plain labels, by the sum of their weights: so `class_weights` (K,) must be 1 on
    average over the images, as `data.balance.class_weights` makes them. `all_known`: no image of
    the training lacks its label, so that processes need not ask each other how many do.
    """
    there, images = (batch.labels >= 0).sum(), len(batch.labels)
    if not all_known:
        there, images = summed(there), images * current().size
    known = there.clamp(min=1) / images
    losses = [
        learner.weight
        * nn.functional.cross_entropy(learner.outputs.logits, batch.targets, class_weights)
        for learner in learners
    ]
    return torch.stack(losses).sum() / known


def mean_losses(parts: list[tuple[float, Losses]]) -> Losses:
    """The losses of a batch from those of its parts, each with its share of the batch.

    For the log alone: each part has had its backward pass by then.
    """
    if len(parts) == 1:
        return parts[0][1]
    first = parts[0][1]
    terms = {
        name: torch.stack([share * part.terms[name].detach() for share, part in parts]).sum()
        for name in first.terms
    }
    total = torch.stack([share * part.total.detach() for share, part in parts]).sum()
    correct = torch.stack([part.correct for _, part in parts]).sum()
    return Losses(total, terms, first.weights, correct)


_NOTHING: Mapping[str, Any] = {}


class Meter:
    """Sums of one epoch; they stay on the device until the epoch ends, as to read one makes the
    processor wait for the GPU."""

    def __init__(self, counted: Mapping[str, Any] = _NOTHING) -> None:
        """From where another one has `counted`."""
        self.terms: dict[str, Tensor] = {}
        self.weighted: dict[str, Tensor] = {}
        self.weights: dict[str, float] = {}
        self.correct: Any = 0
        self.known: Any = 0
        self.steps = 0
        self._awaited: tuple[Losses, Callable[[], Tensor]] | None = None
        vars(self).update(counted)

    def counted(self) -> dict[str, Any]:
        """All of it, for whoever goes on."""
        self._count()
        return {name: value for name, value in vars(self).items() if name != "_awaited"}

    def add(self, losses: Losses, labels: Tensor) -> None:
        """Count one step of all processes; `labels` (B,) are those of this one's batch."""
        self._count()
        known = (labels >= 0).sum()
        each = [loss.detach() for loss in losses.terms.values()]
        self._awaited = losses, summing(torch.stack([*each, losses.correct, known]))
        self.steps += 1

    def _count(self) -> None:
        """The step added last: what the others have of it came during the next one."""
        if not self._awaited:
            return
        losses, total = self._awaited
        self._awaited, self.weights = None, losses.weights
        *terms, correct, known = total()
        for name, term in zip(losses.terms, terms, strict=True):
            value = term / current().size
            self.terms[name] = self.terms.get(name, 0) + value
            self.weighted[name] = self.weighted.get(name, 0) + losses.weights[name] * value
        self.correct = self.correct + correct.long()
        self.known = self.known + known.long()

    def line(self, epoch: int, step: int, lr: float) -> dict[str, Any]:
        """The epoch's means, as metrics.jsonl holds them; weights are those of the last step."""
        self._count()
        weighted = {name: float(v) / self.steps for name, v in self.weighted.items()}
        compared = {"share_of_loss": shares(weighted)} if len(weighted) > 1 else {}
        return {
            "epoch": epoch,
            "step": step,
            "lr": lr,
            "loss": sum(weighted.values()),
            "terms": {name: float(v) / self.steps for name, v in self.terms.items()},
            "weights": self.weights,
            "weighted": weighted,
            "train_accuracy": float(self.correct) / max(int(self.known), 1),
        } | compared


def shares(sizes: Mapping[str, float]) -> dict[str, float]:
    """Each size over the sum of all, without their signs; empty where that is no number above 0."""
    total = sum(abs(size) for size in sizes.values())
    if not 0 < total < math.inf:
        return {}
    return {name: abs(size) / total for name, size in sizes.items()}
