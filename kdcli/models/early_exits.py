"""Early exits: a model that ends at one of its stages, with a small classifier of its own."""

import copy
import math
from itertools import chain
from typing import Any

from torch import Tensor, nn

from kdcli.core.layers import downsampling, separable_block
from kdcli.models.intermediates import intermediates
from kdcli.models.model_args import Shape


class ExitHead(nn.Module):
    """(B, channels, h, w) -> its last map (B, width, ...), that averaged (B, width), (B, K) logits.

    As many separable blocks as halve the grid down to the model's last; one that keeps the grid
    where it is that small already, as in a ViT. Be Your Own Teacher (Zhang et al.),
    arXiv:1905.08094.
    """

    def __init__(self, stage: Shape, last: Shape, num_classes: int) -> None:
        """`stage` is the map that it reads, `last` that of the model's last stage."""
        super().__init__()
        self.maps = stage, last  # what ModelArgs.maps records, so that rebuilding probes nothing
        (channels, height, _), (width, lowest, _) = self.maps
        # rounded: not every grid is a power of two times the last one (17 and 8 of Inception)
        halvings = round(math.log2(height / lowest))
        blocks = downsampling(channels, width, halvings)
        self.blocks = nn.Sequential(*(blocks or [separable_block(channels, width, stride=1)]))
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        last: Tensor = self.blocks(features)
        pooled = last.mean((2, 3))
        return last, pooled, self.classifier(pooled)


class EarlyExit(nn.Module):
    """(B, 3, H, W) images, ready to be fed, -> (B, K): a timm model up to the stage `index` of its
    `forward_intermediates`, then `head`.

    The trunk is cut off there, where timm can cut it; its weights are those of `trunk`, which stays
    whole: who trains that trains this.
    """

    def __init__(self, trunk: nn.Module, head: ExitHead, index: int) -> None:
        super().__init__()
        self.trunk = _cut(trunk, index)
        self.head = head
        self.index = index

    def forward(self, images: Tensor) -> Tensor:
        (features,) = intermediates(self.trunk, images, [self.index], stop_early=True)
        _, _, logits = self.head(features)
        found: Tensor = logits
        return found


def _cut(trunk: nn.Module, index: int) -> nn.Module:
    """A second structure around the same weights, without what lies behind the stage.

    timm prunes in place, and the trunk is to stay whole: so a deep copy, told beforehand that every
    parameter and buffer is its own copy. Pruning makes the exit smaller and its export cheaper;
    without it (a model that timm does not define) the answer is the same.
    """
    shared: dict[int, Any] = {id(t): t for t in chain(trunk.parameters(), trunk.buffers())}
    cut: Any = copy.deepcopy(trunk, shared)
    if hasattr(cut, "prune_intermediate_layers"):
        cut.prune_intermediate_layers(indices=[index], prune_norm=True, prune_head=True)
    found: nn.Module = cut
    return found
