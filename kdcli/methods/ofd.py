"""Overhaul of feature distillation: maps in front of the ReLU, down to a margin."""

import torch
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import same_grid
from kdcli.core.layers import Regressor
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_values

RAREST = 1e-3
"""Below this share of negative values the margin is 3 deviations, as published."""


class OFD(Method):
    """A Comprehensive Overhaul of Feature Distillation (Heo et al.), arXiv:1904.01866.

    The teacher stays in eval mode; the authors' runs in train mode. The 1x1 convolution and batch
    norm of a stage are learnt whatever `match.adapter` says.
    """

    kind = "feature"
    needs = frozenset({"features", "preactivations"})
    reads_weights = True
    default_weight = 1e-3
    weight_source = "the authors' code: the sum over an image's elements, divided by 1000"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_values(student.preactivations, teacher.preactivations, about)
        stages = len(teacher.preactivations)
        norms = about.norms or (None,) * stages
        if others := [str(i) for i, norm in enumerate(norms, 1) if norm is None or not norm.affine]:
            raise UnmetNeeds(
                "is only for stages of a finished teacher that end in a batch norm and a ReLU; "
                f"of {stages} stages these do not: {', '.join(others)}",
                "a teacher like resnet, or a method like fitnet or at",
            )

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        channels = [f.shape[1] for f in student.preactivations]
        norms = [norm for norm in about.norms if norm is not None]
        return nn.ModuleList(_Connector(c, norm) for c, norm in zip(channels, norms, strict=True))

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert isinstance(adapter, nn.ModuleList)
        total = torch.zeros_like(student.logits[0, 0])
        pairs = zip(student.preactivations, teacher.preactivations, strict=True)
        for connector, (s, t) in zip(adapter, pairs, strict=True):
            mine, theirs = same_grid(s, t)
            mapped, margin = connector(mine)
            stage = ofd_loss(mapped, theirs, margin) / len(mine)
            total = total / 2 + stage  # as published: half as much as the next deeper stage
        return total


class _Connector(nn.Module):
    """The student's map in its teacher's channels, and the margins of these."""

    margin: Tensor

    def __init__(self, channels: int, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.regressor = Regressor(channels, norm.num_features, rectified=False)
        self.register_buffer("margin", ofd_margin(norm.weight.detach(), norm.bias.detach()))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.regressor(features), self.margin


def ofd_margin(weight: Tensor, bias: Tensor) -> Tensor:
    """(C,) the mean of what is negative in each channel behind a batch norm of (C,) weight, bias.

    E[x | x < 0] of x ~ N(bias, weight²): bias - |weight| φ(r) / Φ(-r), r = bias / |weight|, with
    density and distribution of the standard normal. -3·|weight| where x < 0 is rarer than 0.001.
    """
    deviation = weight.abs()
    ratio = bias / deviation
    rarity = torch.special.ndtr(-ratio)  # Φ
    density = torch.exp(-ratio.square() / 2) / (2 * torch.pi) ** 0.5
    mean = bias - deviation * density / rarity
    return torch.where(rarity > RAREST, mean, -3 * deviation)


def ofd_loss(student_map: Tensor, teacher_map: Tensor, margin: Tensor | float) -> Tensor:
    """Partial L2 distance of two (B, C, h, w) maps in front of a ReLU, summed over all elements.

    The target is the teacher's value, at least the `margin` (negative; (C,), or one for all). Where
    it is not positive, a student's value below it is as good as on it.
    """
    least = torch.as_tensor(margin, dtype=teacher_map.dtype, device=teacher_map.device)
    target = teacher_map.maximum(least.reshape(-1, 1, 1))
    counts = (student_map > target) | (target > 0)
    return ((student_map - target).square() * counts).sum()
