"""Tensor functions that two methods or more share."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.errors import UnmetNeeds
from kdcli.records import Aggregate, Learner, Lesson, Outputs, Pair, Panel


def standardized(logits: Tensor) -> Tensor:
    """(B, K) logits with mean 0 and (unbiased) deviation 1 in each row.

    Logit Standardization in Knowledge Distillation (Sun et al.), arXiv:2403.01427.
    """
    centred = logits - logits.mean(1, keepdim=True)
    return centred / (logits.std(1, keepdim=True) + 1e-7)


def same_grid(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both (B, C, h, w) maps on the smaller of the two grids, per side; the larger is averaged."""
    grid = smaller_grid(student, teacher)
    return on_grid(student, grid), on_grid(teacher, grid)


def smaller_grid(student: Tensor, teacher: Tensor) -> tuple[int, int]:
    """(h, w) of the smaller grid, per side."""
    return min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3])


def on_grid(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """A (B, C, h, w) map averaged down to `grid`; itself where it already is that small."""
    if features.shape[2:] == grid:
        return features
    return F.adaptive_avg_pool2d(features, grid)


def spatial_pairs(
    student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]
) -> list[tuple[Tensor, Tensor]]:
    """The pairs of features with more than one cell on the smaller grid, each on that grid.

    A map of one cell says nothing of *where*: losses on normalised maps are identically 0 there.
    """
    pairs = [same_grid(s, t) for s, t in zip(student, teacher, strict=True)]
    return [(s, t) for s, t in pairs if s.shape[2] * s.shape[3] > 1]


def attention_map(features: Tensor, power: float = 2.0) -> Tensor:
    """(B, h·w): the L2-normalised mean over channels of |F|^power of a (B, C, h, w) map.

    Paying More Attention to Attention (Zagoruyko, Komodakis), arXiv:1612.03928.
    """
    return F.normalize(features.abs().pow(power).mean(1).flatten(1), dim=1)


def on_largest_grid(maps: Sequence[Tensor]) -> Tensor:
    """(B, L, H, W): (B, h, w) maps side by side on the largest of their grids, per side; the
    smaller are interpolated (bilinear)."""
    grid = max(one.shape[1] for one in maps), max(one.shape[2] for one in maps)
    each = (one.unsqueeze(1) for one in maps)
    return torch.cat([F.interpolate(one, grid, mode="bilinear") for one in each], 1)


def as_one(logits: Tensor, panel: Panel) -> Tensor:
    """(B, K) logits with which H classifiers of (B, H, K) logits answer as one.

    Of probabilities: log p, the log of their weighted mean, so that softmax(log p) is that mean.
    Everything that takes logits takes them.
    """
    weights = logits.new_tensor(panel.weights).view(1, -1, 1)
    if panel.aggregate == "logits":
        return (weights * logits).sum(1)
    return torch.logsumexp(F.log_softmax(logits, 2) + weights.log(), 1)


def panel_of(weights: tuple[float, ...] | None, members: int, aggregate: Aggregate) -> Panel:
    """The panel of so many members, with weights as a recipe gives them: any positive numbers.

    Raises:
        UnmetNeeds: there are more or fewer weights than members.
    """
    if weights is None:
        return Panel((1 / members,) * members, aggregate)
    if len(weights) != members:
        raise UnmetNeeds(
            f"scheme.weights has {len(weights)} for {members} teachers",
            "give one weight per teacher, in their order, or leave scheme.weights out",
        )
    total = sum(weights)
    return Panel(tuple(weight / total for weight in weights), aggregate)


def peers_of(outputs: Mapping[str, Outputs]) -> list[Outputs]:
    """What the student and those that learn beside it answered, the student first."""
    return [
        answer for name, answer in outputs.items() if name == "student" or name.startswith("peer.")
    ]


def of_architecture(models: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The student and the peers that are built alike: any of them can be the student."""
    wanted = getattr(models["student"], "args", None)
    return {name: one for name, one in models.items() if getattr(one, "args", None) == wanted}


def teachers_of(outputs: Mapping[str, Outputs]) -> list[Outputs]:
    """What the teachers answered, in their order."""
    return [answer for name, answer in outputs.items() if name.startswith("teacher.")]


def panel_of_one(scheme: str, teachers: int) -> Panel:
    """The panel of a scheme in which there is one teacher.

    Raises:
        UnmetNeeds: there are more, or none.
    """
    if teachers != 1:
        raise UnmetNeeds(
            f"scheme {scheme} takes one teacher, not {teachers}",
            "scheme: average imitates the mean of several",
        )
    return Panel((1.0,))


def lesson_of_one(scheme: str, outputs: Mapping[str, Outputs]) -> Lesson:
    """The student learns from the labels and from its one teacher.

    Raises:
        UnmetNeeds: there are more, or none.
    """
    student, teachers = outputs["student"], teachers_of(outputs)
    panel_of_one(scheme, len(teachers))
    return Lesson(learners=(Learner(student),), pairs=(Pair(student, teachers[0]),))
