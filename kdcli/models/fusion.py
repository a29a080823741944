"""Several networks that answer as one: their last maps, fused.

B images, M networks, K classes; network m's last map is (B, C_m, h_m, w_m).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdcli.models.model_args import Normalisation, Shape

WIDEST = 512
"""Channels to which maps that differ are brought, at most. Ours: the pointwise convolution has
M x C x C weights, 8.4 million for two networks of 2,048 channels."""


class FusionBlock(nn.Module):
    """M maps -> (B, K) logits, and the (B, C) vector that the classifier sees.

    Where all maps have one shape, the module of Feature Fusion for Online Mutual Knowledge
    Distillation (Kim et al. 2019), arXiv:1904.09058: concatenation, a depthwise 3x3 and a pointwise
    convolution, each with batch norm and ReLU, global average pooling, a linear layer. Maps that
    differ are first brought to the fewest channels of any (512 at most) by 1x1 convolutions with
    batch norm, and pooled to the smallest grid; that is ours: the authors' program has networks of
    one architecture only.
    """

    def __init__(self, maps: Sequence[Shape], num_classes: int) -> None:
        super().__init__()
        self.maps = tuple(maps)
        alike = len(set(maps)) == 1
        width = maps[0][0] if alike else min(WIDEST, *(channels for channels, _, _ in maps))
        grid = min(h for _, h, _ in maps), min(w for _, _, w in maps)
        self.align = nn.ModuleList(
            nn.Identity() if alike else _aligned(one, width, grid) for one in maps
        )
        together = len(maps) * width
        self.block = nn.Sequential(
            nn.Conv2d(together, together, 3, padding=1, groups=together, bias=False),
            nn.BatchNorm2d(together),
            nn.ReLU(),
            nn.Conv2d(together, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(width, num_classes)
        for layer in self.modules():  # as the authors' program begins; torch's own default differs
            if isinstance(layer, nn.Conv2d):
                spread = math.sqrt(2 / (math.prod(layer.kernel_size) * layer.out_channels))
                nn.init.normal_(layer.weight, std=spread)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        aligned = [align(one) for align, one in zip(self.align, maps, strict=True)]
        embedding = self.block(torch.cat(aligned, 1)).mean((2, 3))
        return self.classifier(embedding), embedding


def _aligned(shape: Shape, width: int, grid: tuple[int, int]) -> nn.Sequential:
    """To these channels and this grid."""
    channels, *own = shape
    pool = nn.Identity() if tuple(own) == grid else nn.AdaptiveAvgPool2d(grid)
    return nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), pool)


class Fused(nn.Module):
    """(B, 3, S, S) images, normalised for the first network, -> the (B, K) answer of the fusion.

    The state dict is theirs: `networks.0.conv1.weight`, ..., `fusion.classifier.weight`. The
    networks keep classifiers of their own, which this answer does not need.
    """

    def __init__(
        self,
        networks: Iterable[nn.Module],
        fusion: FusionBlock,
        normalisations: Sequence[Normalisation],
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.fusion = fusion
        first = normalisations[0]
        self.renormalise = nn.ModuleList(_Renormalise(first, other) for other in normalisations)

    def forward(self, images: Tensor) -> Tensor:
        maps = [
            _last_map(network, renormalise(images))
            for network, renormalise in zip(self.networks, self.renormalise, strict=True)
        ]
        logits: Tensor = self.fusion(maps)[0]
        return logits


def _last_map(network: Any, images: Tensor) -> Tensor:
    """As a tap shows it: its last stage. timm takes a number for a count from the end."""
    (found,) = network.forward_intermediates(
        images, indices=1, output_fmt="NCHW", intermediates_only=True
    )
    return found  # type: ignore[no-any-return]


class _Renormalise(nn.Module):
    """From images that are normalised for one network to those that another is fed.

    (x s + m - m') / s', as one product and one sum. Buffers stay out of the state dict, which is
    that of the networks; where nothing differs the pixels pass untouched, to their last bit.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, one: Normalisation, other: Normalisation) -> None:
        super().__init__()
        self.same = one == other
        (mean, std), (to_mean, to_std) = one, other
        scale = [s / t for s, t in zip(std, to_std, strict=True)]
        shift = [(m - t) / u for m, t, u in zip(mean, to_mean, to_std, strict=True)]
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return images if self.same else images * self.scale + self.shift
