"""One step's losses: what the labels cost, and what all terms come to."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdcli.records import Batch, Learner


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
    learners: tuple[Learner, ...], batch: Batch, class_weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy with the targets, weighted over learners and classes; float32 scalar."""
    losses = [
        learner.weight
        * nn.functional.cross_entropy(learner.outputs.logits, batch.targets, class_weights)
        for learner in learners
    ]
    return torch.stack(losses).sum()


def mean_losses(parts: list[tuple[float, Losses]]) -> Losses:
    """The losses of a batch from those of its parts, each with its share of the batch."""
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
