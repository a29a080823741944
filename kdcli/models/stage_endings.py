"""What ends a stage: its last activation, and the batch norm in front of a ReLU.

For methods that read maps in front of their activation (ofd, arXiv:1904.01866: its margins come
from that batch norm). Found by watching a forward pass: timm's models do not say, and the order in
which modules are registered need not be that in which they run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdcli.models.intermediates import intermediates

SHORTCUTS = ("downsample", "shortcut", "proj")
"""In whose branches a batch norm is not the one that a stage's last map comes from: timm's names,
of ResNet and RegNet, of ByobNet, of DLA (`project`)."""


@dataclass(frozen=True, eq=False)
class Ending:
    """What a stage's map comes out of, module by module."""

    activation: nn.Module | None = None
    """The activation that gives the stage's map; None where something else does."""
    norm: nn.BatchNorm2d | None = None
    """The last batch norm in front of it, if it is a ReLU."""


@dataclass(frozen=True, eq=False)
class _Call:
    module: nn.Module
    name: str
    result: Tensor


@torch.no_grad()
def endings(module: nn.Module, images: Tensor, stages: Sequence[int]) -> tuple[Ending, ...]:
    """How each of these stages (indices of `forward_intermediates`) ends, found by running it."""
    return tuple(_ending(module, images, stage) for stage in stages)


def _ending(module: nn.Module, images: Tensor, stage: int) -> Ending:
    calls, found = _calls(module, images, stage)
    # the very tensor: what was permuted or added to since (a ViT's map, MobileNetV2's) was not
    # given by an activation; an in-place one hands on what a norm gave, so that must not count
    acted = [i for i, call in enumerate(calls) if call.result is found and _acts(call.module)]
    if not acted:
        return Ending()
    last = calls[acted[-1]].module
    if sum(call.module is last for call in calls) > 1:  # a hook could not tell its places apart
        return Ending()
    return Ending(last, _norm_before(last, calls, acted[-1], found.shape[1]))


def _calls(module: nn.Module, images: Tensor, stage: int) -> tuple[list[_Call], Tensor]:
    """What ran, in the order of its ending, until the stage's map was there; and that map.

    Stopped there: a later in-place operation might overwrite it.
    """
    calls: list[_Call] = []

    def watch(name: str, part: nn.Module) -> Any:
        def remember(_: nn.Module, __: Any, result: Any) -> None:
            if isinstance(result, Tensor):
                calls.append(_Call(part, name, result))

        return part.register_forward_hook(remember)

    hooks = [watch(name, part) for name, part in module.named_modules() if name]
    try:
        (found,) = intermediates(module, images, [stage], stop_early=True)
    finally:
        for hook in hooks:
            hook.remove()
    return calls, found


def _norm_before(
    last: nn.Module, calls: list[_Call], place: int, channels: int
) -> nn.BatchNorm2d | None:
    """Of a ReLU: the batch norm that holds it (timm's fused ones), or the last in front of it.

    As wide as the map, which a block's inner norms need not be.
    """
    if not isinstance(last, nn.ReLU):
        return None
    found: nn.BatchNorm2d | None = None
    for i, call in enumerate(calls):
        norm = call.module
        if isinstance(norm, nn.BatchNorm2d) and norm.num_features == channels:
            in_front = i < place and not any(word in call.name for word in SHORTCUTS)
            if in_front or last in norm.children():
                found = norm
    return found


def _acts(module: nn.Module) -> bool:
    """No parameters, no children, and named as the activations of torch and timm are."""
    known = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Mish, nn.ELU, nn.LeakyReLU)
    timms = type(module).__module__.startswith("timm.layers.activations")
    return isinstance(module, known) or timms
