"""Hints: what a middle layer of the teacher holds, value by value."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.functional import same_grid
from kdcli.core.layers import regressor
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_values


class FitNet(Method):
    """FitNets: Hints for Thin Deep Nets (Romero et al.), arXiv:1412.6550.

    Trained jointly with all other terms. The paper first trains on the hint alone: give it a weight
    that falls to 0, and the task one that rises.
    """

    kind = "feature"
    needs = frozenset({"features"})
    default_weight = 100.0
    weight_source = "RepDistiller's scripts, for one middle stage"

    layers: Literal["middle", "all"] = "middle"
    """Which pairs of features are hints: the middle one, at (n - 1) // 2, or every one."""
    standardize: bool | Literal["auto"] = "auto"
    """Bring each channel of the teacher's map to mean 0 and deviation 1 over the batch. `auto` does
    where the map is signed: what transformers pass on can be 10 to 100 times larger."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_values(self._hints(student), self._hints(teacher), about)

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        pairs = zip(self._hints(student), self._hints(teacher), strict=True)
        return nn.ModuleList(self._hint(s, t, about) for s, t in pairs)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert isinstance(adapter, nn.ModuleList)
        pairs = zip(adapter, self._hints(student), self._hints(teacher), strict=True)
        return torch.stack([fitnet_loss(*hint(s, t)) for hint, s, t in pairs]).sum()

    def _hints(self, outputs: Outputs) -> tuple[Tensor, ...]:
        if self.layers == "all":
            return outputs.features
        # RepDistiller's is the third of five: stem, three stages, pooled
        return (outputs.features[(len(outputs.features) - 1) // 2],)

    def _hint(self, student: Tensor, teacher: Tensor, about: About) -> nn.Module:
        auto = self.standardize == "auto"
        standardize = bool(teacher.min() < 0) if auto else bool(self.standardize)
        return _Hint(student, teacher, about, standardize)


class _Hint(nn.Module):
    """Makes the two maps of one pair comparable: one grid, the teacher's channels, one scale.

    The teacher is standardised by the batch at hand, as the regressor's batch norm does it for the
    student; a student's map that is passed on directly is standardised like the teacher's.
    """

    def __init__(self, student: Tensor, teacher: Tensor, about: About, standardize: bool) -> None:
        super().__init__()
        self.scale: nn.Module = nn.Identity()
        if standardize:
            self.scale = nn.BatchNorm2d(teacher.shape[1], affine=False, track_running_stats=False)
        found = regressor(student, self.scale(teacher), about)
        self.regressor = self.scale if isinstance(found, nn.Identity) else found

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        student, teacher = same_grid(student, teacher)
        return self.regressor(student), self.scale(teacher)


def fitnet_loss(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference over all elements of two (B, C, h, w) maps of one shape.

    The paper has half the sum of squares; the mean is RepDistiller's, to which the weight belongs.
    """
    return F.mse_loss(student_map, teacher_map)
