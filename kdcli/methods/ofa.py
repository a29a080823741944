"""Stages speak in logits, so that a student of any architecture can answer any teacher."""

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdcli.core.layers import downsampling
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images, refuse_unknown_labels


class OFA(Method):
    """One-for-All Knowledge Distillation (Hao et al.), arXiv:2310.19444.

    Every student gets the projectors that the authors give to CNNs, on (B, C, h, w) maps; theirs
    for transformers are transformer blocks. They end as wide as the student's last stage, the
    authors' as the wider of both models: so a teacher's recorded logits suffice.
    """

    kind = "response"
    needs = frozenset({"logits"})
    student_needs = frozenset({"stages"})
    default_weight = 1.0
    weight_source = "the authors' code: 1 for the logits and for every stage, beside 1 of the task"

    eps: PositiveFloat = 1.0
    """The exponent that lifts the label above the other classes; the authors have 1 by default, 1.5
    for a ResNet18 taught by a DeiT-T on ImageNet."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_unknown_labels(about)
        refuse_single_images(about, "has projectors with batch norm")

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        maps = projected(student.stages)
        channels = [stage.shape[1] for stage in maps]
        return nn.ModuleList(
            projector(width, channels[-1], about.num_classes, halvings)
            for halvings, width in zip(reversed(range(len(maps))), channels, strict=True)
        )

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert isinstance(adapter, nn.ModuleList)
        maps = projected(student.stages)
        early = [project(stage) for project, stage in zip(adapter, maps, strict=True)]
        answers = [student.logits, *early]
        losses = [ofa_loss(mine, teacher.logits, batch.labels, self.eps) for mine in answers]
        return torch.stack(losses).sum()


def ofa_loss(student: Tensor, teacher: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Cross-entropy with the teacher's probabilities^eps, the label's (1 + p)^eps - 1; batch-mean.

    `student`, `teacher`: (B, K) logits, not softened: the paper has no temperature; `labels` (B,)
    int64 in [0, K). At eps = 1 it is plain cross-entropy with the teacher's probabilities; never 0,
    even where both agree.
    """
    label = F.one_hot(labels, student.shape[1])
    target = (teacher.softmax(1) + label) ** eps - label
    return -(target * F.log_softmax(student, 1)).sum(1).mean()


def projected(stages: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The up to four (B, C, h, w) maps that are projected, in depth order: the deepest; of a model
    whose maps all have one grid those at 1/6, 1/3, 5/6 and all of its depth."""
    depth = len(stages)
    if depth > 4 and len({stage.shape[2:] for stage in stages}) == 1:
        # of 12 blocks the 2nd, 4th, 10th and 12th, where the authors take a ViT's maps
        return tuple(stages[round(depth * share) - 1] for share in (1 / 6, 1 / 3, 5 / 6, 1))
    return stages[-4:]


def projector(channels: int, width: int, num_classes: int, halvings: int) -> nn.Module:
    """(B, channels, h, w) -> (B, num_classes): a block per halving of the grid (`downsampling`, up
    to `width` channels), mean over the grid, linear."""
    # the deepest map has no halving left: the authors' 1x1 convolution
    body = downsampling(channels, width, halvings) or [nn.Conv2d(channels, width, 1)]
    return nn.Sequential(
        *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)
    )
