"""Batch norms that average over all processes' images."""

from timm.layers import convert_sync_batchnorm  # type: ignore[attr-defined]
from torch import nn


def synchronise(model: nn.Module) -> None:
    """All of a model's, in place; their weights, and the names of these, stay."""
    for name, child in [*model.named_children()]:
        setattr(model, name, convert_sync_batchnorm(child))  # type: ignore[no-untyped-call]
