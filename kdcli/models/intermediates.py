"""The maps inside a timm model."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


def intermediates(
    module: nn.Module,
    images: Tensor,
    indices: Sequence[int] | None = None,
    stop_early: bool = False,
) -> list[Tensor]:
    """The (B, C, h, w) maps of these stages, all by default; in depth order.

    Class and distillation tokens are left out, and other tokens laid out on their grid, as a
    permuted copy: a loss on it reaches the trunk, but the logits are not computed from it.
    `stop_early` leaves out the blocks behind the last stage that is asked for.
    """
    timm_model: Any = module
    maps: list[Tensor] = timm_model.forward_intermediates(
        images,
        indices=None if indices is None else list(indices),  # an int would count from the end
        stop_early=stop_early,
        output_fmt="NCHW",
        intermediates_only=True,
    )
    return maps
