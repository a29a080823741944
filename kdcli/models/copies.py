"""Several models side by side that answer as one."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from kdcli.core.functional import as_one
from kdcli.core.records import Panel


class Copies(nn.ModuleList):
    """(B, 3, H, W) -> (B, K): timm models of one architecture, each with weights of its own.

    For scheme joint_ensemble. A tap shows nothing of them but their answer: stages and embeddings
    of several trunks are not those of one model. The state dict is theirs, numbered:
    `0.conv1.weight`, `1.conv1.weight`, ...
    """

    def __init__(self, members: Iterable[nn.Module], panel: Panel) -> None:
        super().__init__(members)
        self.panel = panel

    def forward(self, images: Tensor) -> Tensor:
        members = torch.stack([member(images) for member in self], 1)
        # logarithms of means want float32, also within autocast; float64, in which an export's
        # parity may be decided, stays
        exact = torch.promote_types(members.dtype, torch.float32)
        return as_one(members.to(exact), self.panel)

    def no_weight_decay(self) -> set[str]:
        """Parameters that the members exempt from weight decay (timm's convention)."""
        members: Any = enumerate(self)
        return {
            f"{i}.{name}"
            for i, member in members
            for name in getattr(member, "no_weight_decay", set)()
        }

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """The last layers of all members; flat, where a member has several (LeViT)."""
        members: Any = self
        found = [member.get_classifier() for member in members]
        return tuple(c for last in found for c in (last if isinstance(last, tuple) else (last,)))
