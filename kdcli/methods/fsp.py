"""Flow of the solution procedure: how one layer's channels go with the next one's."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import same_grid
from kdcli.core.layers import regressors
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_values

Stages = tuple[Tensor, Tensor]
"""Two consecutive ones of one model, flattened."""


class FSP(Method):
    """A Gift from Knowledge Distillation (Yim, Joo, Bae, Kim), CVPR 2017.

    The student's maps are brought to the teacher's channels first: the paper has equal ones. Its
    phase of training on the flow alone is a schedule of weights. The weight is that of the
    comparison in arXiv:1910.10699.
    """

    kind = "relation"
    needs = frozenset({"features"})
    default_weight = 50.0
    weight_source = "RepDistiller's scripts, between all stages"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        if len(student.features) < 2:
            raise UnmetNeeds(
                "relates consecutive stages, and here only one stage has its answer",
                "models with two matching stages or more, or a method like fitnet or at",
            )
        refuse_single_values(student.features, teacher.features, about)

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        return regressors(student.features, teacher.features, about)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert isinstance(adapter, nn.ModuleList)
        pairs = [same_grid(s, t) for s, t in zip(student.features, teacher.features, strict=True)]
        mine = tuple(own(s) for own, (s, _) in zip(adapter, pairs, strict=True))
        return fsp_loss(mine, tuple(t for _, t in pairs))


def fsp_loss(student_maps: tuple[Tensor, ...], teacher_maps: tuple[Tensor, ...]) -> Tensor:
    """Sum over consecutive stages of the mean squared difference of the two flows.

    Maps (B, C_i, h_i, w_i) in depth order, two or more; the channels of a stage agree.
    """
    flows = zip(pairwise(student_maps), pairwise(teacher_maps), strict=True)
    return torch.stack([_apart(_flat(*s), _flat(*t)) for s, t in flows]).sum()


def flow(first: Tensor, second: Tensor) -> Tensor:
    """(B, C, D): products of the channels of (B, C, h, w) and (B, D, H, W), averaged over cells.

    The paper's FSP matrix. The larger grid is averaged down.
    """
    return _product(_flat(first, second))


def _flat(first: Tensor, second: Tensor) -> Stages:
    """(B, C, cells) and (B, D, cells) of two consecutive stages, on the smaller grid."""
    left, right = (f.flatten(2) for f in same_grid(first, second))
    return left, right


def _product(stages: Stages) -> Tensor:
    """(B, C, D)."""
    return stages[0] @ stages[1].mT / stages[0].shape[2]


def _apart(student: Stages, teacher: Stages) -> Tensor:
    """Mean squared difference of the two flows.

    A flow has C x D numbers per image. Where cells x cells are fewer, its squared norm and inner
    products are taken from these: the same value, some hundred times less memory.
    """
    (images, channels, cells), wide = student[0].shape, student[1].shape[1]
    if cells**2 >= channels * wide:
        return F.mse_loss(_product(student), _product(teacher))
    squared = _inner(student, student) + _inner(teacher, teacher) - 2 * _inner(student, teacher)
    return squared / (images * channels * wide)


def _inner(one: Stages, other: Stages) -> Tensor:
    """Sum over images of the inner product of two flows, never made."""
    cells = one[0].shape[2] * other[0].shape[2]
    return ((one[0].mT @ other[0]) * (one[1].mT @ other[1])).sum() / cells
