"""Several classifiers on one trunk, answering as one.

B images, H heads, K classes. The module is timm's own, with H * K outputs.
"""

from torch import Tensor, nn

from kdcli.core.functional import as_one
from kdcli.models.model_args import ModelArgs


def split(logits: Tensor, heads: int) -> Tensor:
    """(B, H, K) from the (B, H * K) that the module answers."""
    return logits.reshape(-1, heads, logits.shape[1] // heads)


class AsOne(nn.Module):
    """(B, H * K) -> (B, K): see `functional.as_one`. Without weights, so that a model that is
    exported with it has no keys of its own."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.heads, self.panel = args.heads, args.panel

    def forward(self, logits: Tensor) -> Tensor:
        return as_one(split(logits, self.heads), self.panel)


def answering(module: nn.Module, args: ModelArgs) -> nn.Module:
    """(B, 3, H, W) images, ready to be fed, -> (B, K) logits; the module itself where it has one
    head. Of a last layer alone: (B, D) -> (B, K)."""
    return module if args.heads == 1 else nn.Sequential(module, AsOne(args))
