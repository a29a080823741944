"""A temperature that is learned against the student: first easy, then as hard as it gets."""

import math

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.methods.kd import kd_loss


class CTKD(Method):
    """Curriculum Temperature for Knowledge Distillation (Li et al.), arXiv:2211.16231.

    One temperature for all images; code of the paper's other one, per image, was not released.
    """

    kind = "response"
    needs = frozenset({"logits"})
    default_weight = 9.0
    weight_source = "the authors' scripts: 0.9 beside 0.1 of the task"

    lowest: PositiveFloat = 1.0
    """The temperature stays above this."""
    span: PositiveFloat = 20.0
    """And below `lowest + span`; it starts at `lowest + 0.73 span`."""
    epochs: PositiveFloat = 10.0
    """How many it takes until the temperature fully opposes the student; the authors train 240."""
    standardize: bool = False
    """Bring each image's logits to mean 0 and deviation 1 first (arXiv:2403.01427)."""

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        return LearnedTemperature(self.lowest, self.span)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert adapter is not None
        temperature = adapter(reversal(batch.epoch, self.epochs))  # it learns through T² as well
        return kd_loss(student.logits, teacher.logits, temperature, self.standardize)


class LearnedTemperature(nn.Module):
    """lowest + span · sigmoid(theta); theta starts at 1, by default T at 15.6, as the authors'."""

    def __init__(self, lowest: float, span: float) -> None:
        super().__init__()
        self.lowest, self.span = lowest, span
        self.theta = nn.Parameter(torch.ones(()))

    def forward(self, scale: float) -> Tensor:
        """() the temperature; what flows back to theta is multiplied by `scale`."""
        theta = with_scaled_gradient(self.theta, scale)
        return self.lowest + self.span * theta.sigmoid()


def reversal(epoch: float, epochs: float) -> float:
    """What the temperature's gradient is multiplied by: 0 at first, along a cosine to -1 after
    `epochs`, where it climbs the loss that the student descends. The authors' `CosineDecay`; theirs
    moves once an epoch, this one at every step."""
    return (math.cos(math.pi * min(epoch / epochs, 1.0)) - 1) / 2


def with_scaled_gradient(tensor: Tensor, scale: float) -> Tensor:
    """The same values; the gradient is multiplied by `scale`, which may be negative."""
    fixed = tensor.detach()
    return fixed + scale * (tensor - fixed)
