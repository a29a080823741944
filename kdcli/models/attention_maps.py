"""Where a model looks: one map per stage; how far such maps agree, and whether they are flat."""

import math
from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from kdcli.core.functional import on_largest_grid

_EPSILON = 1e-7
"""As in the code of CASD."""


def energy(stage: Tensor) -> Tensor:
    """(B, h, w): the mean over channels of the squares of a (B, C, h, w) map.

    CASD takes the plain mean, of a network that ends in ReLUs (VGG). Of timm's models most have
    signed maps (EfficientNet, ConvNeXt, every ViT), whose plain mean would cancel out.
    """
    return stage.square().mean(1)


def attention(energy: Tensor) -> Tensor:
    """(B, h, w) maps in [0.5, 0.74): each image's from its lowest to its highest, then a sigmoid.

    As in the code of CASD (Huang et al. 2020), arXiv:2010.12023: the sigmoid of [0, 1] ends at
    0.731. A flat map gives 0.5 everywhere.
    """
    low, high = energy.amin((1, 2), keepdim=True), energy.amax((1, 2), keepdim=True)
    return ((energy - low) / (high - low + _EPSILON)).sigmoid()


def spatial(stages: Sequence[Tensor], most: int) -> tuple[Tensor, ...]:
    """The last `most` of (B, C, h, w) maps that have more than one cell: others say of no place."""
    return tuple(stage for stage in stages if stage.shape[2] * stage.shape[3] > 1)[-most:]


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """(B,) Pearson's correlation over the cells of two (B, h, w) attention maps, in [-1, 1].

    1: the same but for brightness and contrast; a flat map says nothing, and counts as 0.
    """
    first, second = (m.flatten(1) - m.flatten(1).mean(1, keepdim=True) for m in (one, other))
    return F.cosine_similarity(first, second, dim=1, eps=1e-5)  # rounding must not correlate


def correlation_of_layers(maps: Sequence[Tensor]) -> Tensor | None:
    """(B,) the mean over all pairs of (B, h, w) maps, on the largest grid; None of a single map."""
    layers = on_largest_grid(maps).unbind(1)
    pairs = [correlation(one, other) for one, other in combinations(layers, 2)]
    return torch.stack(pairs).mean(0) if pairs else None


def flatness(energy: Tensor) -> Tensor:
    """(B,) the entropy of (B, h, w) maps >= 0 over their cells, as a share of the largest there is.

    1: all cells alike, where attention has collapsed; 0: everything in one cell.
    """
    cells = energy.flatten(1)
    total = cells.sum(1, keepdim=True)
    even = torch.full_like(cells, 1 / cells.shape[1])
    shares = torch.where(total > 0, cells / total.clamp(min=1e-30), even)
    # `where` computes both of its sides: the clamp keeps 0 / 0 out of the one that is not taken
    entropy: Tensor = torch.special.entr(shares).sum(1)
    return entropy / math.log(cells.shape[1])
