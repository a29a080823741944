"""A teacher that learns in the same loop as its student."""

from collections.abc import Callable

import torch

from kdcli.models.tap import Tap
from kdcli.records import Batch, Outputs


class Together:
    """Takes its own step on each batch, then teaches as it now is (arXiv:2301.12245).

    The limit of a trajectory (Harutyunyan et al. 2023) with a checkpoint at every step, from
    memory of the paper's algorithm; nothing of it is stored. Where no gradients are recorded, it
    only answers.
    """

    def __init__(self, tap: Tap, learn: Callable[[Batch], None]) -> None:
        """`learn` takes one step with what `tap` asks, and leaves the shared generator alone."""
        self.tap = tap
        self._learn = learn

    def __call__(self, batch: Batch) -> Outputs:
        if torch.is_grad_enabled():
            self._learn(batch)
        self.tap.eval()
        with torch.no_grad():
            outputs: Outputs = self.tap(batch)
        return outputs
