"""Neuron selectivity transfer: the same regions excite the same kind of neurons."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.functional import same_grid, spatial_pairs
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_cells


class NST(Method):
    """Like What You Like: Neuron Selectivity Transfer (Huang, Wang), arXiv:1707.01219."""

    kind = "feature"
    needs = frozenset({"features"})
    default_weight = 50.0
    weight_source = "RepDistiller's scripts, on all stages"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_cells(student, teacher)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        pairs = spatial_pairs(student.features, teacher.features)
        return torch.stack([nst_loss(s, t) for s, t in pairs]).sum()


def nst_loss(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of the two maps' channels, with the kernel (a · b)².

    The paper's polynomial kernel, d = 2 and c = 0. `student_map` (B, C, h, w), `teacher_map`
    (B, D, H, W): channels may differ, the larger grid is averaged down. A channel counts as a
    vector of cells of length 1: where it looks, not how much.
    """
    student, teacher = (
        F.normalize(f.flatten(2), dim=2) for f in same_grid(student_map, teacher_map)
    )
    # the teacher's own is constant, and left out in the authors' code; with it equal maps cost 0
    within = mean_kernel(student, student) + mean_kernel(teacher, teacher)
    return within - 2 * mean_kernel(student, teacher)


def mean_kernel(first: Tensor, second: Tensor) -> Tensor:
    """Mean of (a · b)² over images and pairs of channels of (B, C, cells) and (B, D, cells).

    Σ (a · b)² is also the product of the two Gram matrices of cells: whichever is smaller is held.
    """
    images, channels, cells = first.shape
    pairs = channels * second.shape[1]
    if cells**2 < pairs:
        return ((first.mT @ first) * (second.mT @ second)).sum() / (images * pairs)
    return (first @ second.mT).square().mean()
