"""Channels last, as convolutions like it best; but not where PyTorch then writes out of bounds."""

from typing import Any

import torch
from torch import Tensor, nn


def channels_last(module: nn.Module) -> nn.Module:
    """The same module, its weights laid out for images whose channels come last in memory.

    By timm's published benchmarks a resnet101 is a fifth faster in it on a GPU (mixed precision);
    on a CPU it is next to nothing.

    On a CPU, PyTorch 2.14 and 2.15 corrupt the heap in the backward pass of a strided 1x1
    convolution of fewer than 16 channels in that layout (stems of RepVGG, MobileOne, FastViT at 112
    pixels and more). Such a convolution keeps the usual layout, and is given its few channels in
    it. `tests/models/test_memory_format.py` ends in a segmentation fault without this.
    """
    module.to(memory_format=torch.channels_last)
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and _is_unsafe(part):
            part.weight.data = part.weight.data.clone(memory_format=torch.contiguous_format)
            part.register_forward_pre_hook(_channels_first)
    return module


def _is_unsafe(layer: nn.Conv2d) -> bool:
    # tried at 112 and 224 pixels: 3, 8 and 15 channels crash, 16, 24 and 48 do not
    return layer.kernel_size == (1, 1) and max(layer.stride) > 1 and layer.in_channels < 16


def _channels_first(_: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    images, *others = inputs
    return (images.contiguous(), *others) if images.device.type == "cpu" else inputs
