"""Variational information distillation: how well the student's map predicts the teacher's."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.functional import same_grid
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs

LEAST_VARIANCE = 1e-5
"""Keeps the variance's logarithm and the quotient finite; RepDistiller's, as is the start at 5."""


class VID(Method):
    """Variational Information Distillation for Knowledge Transfer (Ahn et al.), arXiv:1904.05835.

    Its networks are the method itself: they are learnt whatever `match.adapter` says.
    """

    kind = "feature"
    needs = frozenset({"features"})
    default_weight = 1.0
    weight_source = "RepDistiller's scripts, on all stages"

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        pairs = zip(student.features, teacher.features, strict=True)
        return nn.ModuleList(Gaussian(s.shape[1], t.shape[1]) for s, t in pairs)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert isinstance(adapter, nn.ModuleList)
        losses = []
        for gaussian, s, t in zip(adapter, student.features, teacher.features, strict=True):
            mine, theirs = same_grid(s, t)
            mean, variance = gaussian(mine)
            losses.append(vid_loss(mean, variance, theirs))
        return torch.stack(losses).sum()


class Gaussian(nn.Module):
    """The teacher's map given the student's: a mean per element, a variance per channel."""

    def __init__(self, student: int, teacher: int, variance: float = 5.0) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.Conv2d(student, teacher, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(teacher, teacher, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(teacher, teacher, 1, bias=False),
        )
        start = math.log(math.expm1(variance - LEAST_VARIANCE))  # the inverse of softplus
        self.log_scale = nn.Parameter(torch.full((teacher,), start))  # 1-D: no weight decay

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, D, h, w) and variance (D,) from (B, C, h, w)."""
        return self.mean(features), F.softplus(self.log_scale) + LEAST_VARIANCE


def vid_loss(student_mean: Tensor, variance: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean over elements of -log N(teacher | mean, variance), less its constant; may be negative.

    `student_mean` and `teacher_map` (B, D, h, w); `variance` (D,) > 0, or () for all channels.
    """
    variance = variance.reshape(-1, 1, 1)
    return 0.5 * ((student_mean - teacher_map).square() / variance + variance.log()).mean()
