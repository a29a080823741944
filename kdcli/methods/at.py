"""Attention transfer: look where the teacher looks."""

import torch
from torch import Tensor, nn

from kdcli.core.functional import attention_map, same_grid, spatial_pairs
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_cells


class AT(Method):
    """Paying More Attention to Attention (Zagoruyko, Komodakis), arXiv:1612.03928."""

    kind = "feature"
    needs = frozenset({"features"})
    default_weight = 1000.0
    weight_source = "RepDistiller's scripts; the paper's beta = 1e3 over (cells x images)"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_cells(student, teacher)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        pairs = spatial_pairs(student.features, teacher.features)
        return torch.stack([at_loss(s, t) for s, t in pairs]).sum()


def at_loss(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference of the two attention maps of one stage.

    `student_map` (B, C, h, w), `teacher_map` (B, D, H, W): channels may differ, the larger grid is
    averaged down. The squared norm, as the authors' code has it; equation 2 prints the norm itself.
    """
    student, teacher = same_grid(student_map, teacher_map)
    return (attention_map(student) - attention_map(teacher)).square().mean()
