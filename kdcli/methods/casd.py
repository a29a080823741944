"""Comprehensive attention: every view and every layer looks wherever any of them looks."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.functional import on_largest_grid
from kdcli.core.method import Method
from kdcli.core.records import Batch, Outputs


class CASD(Method):
    """Comprehensive Attention Self-Distillation (Huang et al. 2020), arXiv:2010.12023.

    Carried from weakly supervised detection to classification, with scheme attention_self: where
    the paper has the regions of an image, here is the whole image. The input-wise half is as the
    authors' code has it; the layer-wise half is in the paper alone, and its weight (that of the
    input-wise half) and its target (the maximum over layers and views) are ours, unverified.
    """

    kind = "feature"
    needs = frozenset({"attention"})
    default_weight = 0.1
    weight_source = "the authors' code, after 45,000 of 100,000 iterations"

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        return casd_loss(student.attention, teacher.attention)


def casd_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The input-wise and the layer-wise half, of one view's (B, h, w) maps, one per layer.

    `teacher` are the maxima over all views, as this view shows them; of the same grids.
    """
    return input_wise_loss(student, teacher) + layer_wise_loss(student, teacher)


def input_wise_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The mean over layers of the mean squared difference to the layer's own target."""
    pairs = zip(student, teacher, strict=True)
    return torch.stack([F.mse_loss(mine, theirs) for mine, theirs in pairs]).mean()


def layer_wise_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The mean over layers of the mean squared difference to the maximum over layers.

    On the largest grid. Of a single layer 0: it has no other to look at.
    """
    if len(student) == 1:
        return student[0].new_zeros(())
    target = on_largest_grid(teacher).amax(1, keepdim=True)
    return (on_largest_grid(student) - target).square().mean()
