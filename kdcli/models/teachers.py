"""Teachers: anything that turns a Batch into Outputs."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from kdcli.models.tap import Tap
from kdcli.records import Batch, Outputs


@runtime_checkable
class Live(Protocol):
    """A teacher whose model is at hand, so that methods may see more than its answers."""

    @property
    def tap(self) -> Tap: ...

    def __call__(self, batch: Batch) -> Outputs: ...


class Frozen:
    """A finished model: eval mode, no gradients, its buffers untouched.

    No nn.Module, so that a learner that holds it neither trains nor saves it.
    """

    def __init__(self, tap: Tap) -> None:
        self.tap = tap.eval().requires_grad_(False)

    @torch.no_grad()  # as fast as inference_mode, whose tensors break losses that save them
    def __call__(self, batch: Batch) -> Outputs:
        outputs: Outputs = self.tap(batch)
        return outputs


class Recorded:
    """Models that are no longer there: what they once answered to each image."""

    def __init__(self, by: str, logits: Tensor) -> None:
        """`logits` (M, K) float32, of the images as they are, by `Batch.index`."""
        self._by = by
        self._logits = logits

    def __call__(self, batch: Batch) -> Outputs:
        answers = self._logits[batch.index.to(self._logits.device)]
        return Outputs(self._by, answers.to(batch.images.device))
