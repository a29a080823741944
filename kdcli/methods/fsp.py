"""Flow of the solution procedure: how one layer's channels go with the next one's."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.errors import UnmetNeeds
from kdcli.functional import same_grid
from kdcli.layers import regressors
from kdcli.records import About, Batch, Method, Outputs
from kdcli.undefined import refuse_single_values


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

    def check(self, student: Outputs, teacher: Outputs | None, about: About) -> None:
        assert teacher is not None
        if len(student.features) < 2:
            raise UnmetNeeds(
                "relates consecutive stages, and here only one stage has its answer",
                "models with two matching stages or more, or a method like fitnet or at",
            )
        refuse_single_values(student.features, teacher.features, about)

    def adapter(self, student: Outputs, teacher: Outputs | None, about: About) -> nn.Module:
        assert teacher is not None
        return regressors(student.features, teacher.features, about)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert teacher is not None
        assert isinstance(adapter, nn.ModuleList)
        pairs = [same_grid(s, t) for s, t in zip(student.features, teacher.features, strict=True)]
        mine = tuple(own(s) for own, (s, _) in zip(adapter, pairs, strict=True))
        return fsp_loss(mine, tuple(t for _, t in pairs))


def fsp_loss(student_maps: tuple[Tensor, ...], teacher_maps: tuple[Tensor, ...]) -> Tensor:
    """Sum over consecutive stages of the mean squared difference of the two flows.

    Maps (B, C_i, h_i, w_i) in depth order, two or more; the channels of a stage agree.
    """
    flows = zip(_flows(student_maps), _flows(teacher_maps), strict=True)
    return torch.stack([F.mse_loss(s, t) for s, t in flows]).sum()


def _flows(maps: tuple[Tensor, ...]) -> list[Tensor]:
    return [flow(first, second) for first, second in pairwise(maps)]


def flow(first: Tensor, second: Tensor) -> Tensor:
    """(B, C, D): products of the channels of (B, C, h, w) and (B, D, H, W), averaged over cells.

    The larger grid is averaged down.
    """
    left, right = (f.flatten(2) for f in same_grid(first, second))
    return left @ right.mT / left.shape[2]
