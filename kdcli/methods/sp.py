"""Similarity-preserving distillation: who resembles whom in a batch."""

import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images


class SP(Method):
    """Similarity-Preserving Knowledge Distillation (Tung, Mori), arXiv:1907.09682."""

    kind = "relation"
    across_images = True
    needs = frozenset({"features"})
    default_weight = 3000.0
    weight_source = "RepDistiller's scripts"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        # the last stage alone, as RepDistiller has it
        return sp_loss(student.features[-1], teacher.features[-1])


def sp_loss(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference of the two (B, B) matrices of similarities, over B².

    `student_map` (B, C, h, w), `teacher_map` (B, D, H, W), B > 1: channels and grids may differ.
    """
    return (_similarities(student_map) - _similarities(teacher_map)).square().mean()


def _similarities(features: Tensor) -> Tensor:
    """(B, B): the inner products of the images' whole maps, each row of length 1."""
    rows = features.flatten(1)
    return F.normalize(rows @ rows.T, dim=1)
