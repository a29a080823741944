"""Factor transfer, lite: attention maps of mean energy, compared by absolute value."""

import torch
from torch import Tensor, nn

from kdcli.core.functional import attention_map, same_grid, spatial_pairs
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_cells


class FT(Method):
    """Paraphrasing Complex Network: Factor Transfer (Kim, Park, Kwak), arXiv:1802.04977.

    The distance between factors alone, on the maps themselves: the paper's paraphraser, which wants
    a training of its own before the student's, and its translator are not built.
    """

    kind = "feature"
    needs = frozenset({"features"})
    default_weight = 200.0
    weight_source = "RepDistiller's scripts, which have a paraphraser and one stage"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_cells(student, teacher)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        pairs = spatial_pairs(student.features, teacher.features)
        return torch.stack([ft_loss(s, t) for s, t in pairs]).sum()


def ft_loss(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean absolute difference of the two attention maps (of squares) of one stage.

    RepDistiller's p1 = 2 and p2 = 1. `student_map` (B, C, h, w), `teacher_map` (B, D, H, W):
    channels may differ, the larger grid is averaged down.
    """
    student, teacher = same_grid(student_map, teacher_map)
    return (attention_map(student) - attention_map(teacher)).abs().mean()
