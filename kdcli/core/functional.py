"""Tensor functions that two methods or more share."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kdcli.core.records import Panel


def standardized(logits: Tensor) -> Tensor:
    """(B, K) logits with mean 0 and (unbiased) deviation 1 in each row.

    Logit Standardization in Knowledge Distillation (Sun et al.), arXiv:2403.01427.
    """
    centred = logits - logits.mean(1, keepdim=True)
    return centred / (logits.std(1, keepdim=True) + 1e-7)  # as in the authors' code


def same_grid(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both (B, C, h, w) maps on the smaller of the two grids, per side; the larger is averaged.

    The features are averaged, as in RepDistiller, not what a loss makes of them.
    """
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

    Paying More Attention to Attention (Zagoruyko, Komodakis), arXiv:1612.03928, whose sum over
    channels comes to the same.
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
