"""The means of one epoch, as metrics.jsonl holds them."""

from typing import Any

from torch import Tensor

from kdcli.losses import Losses
from kdcli.shares import shares


class Meter:
    """Sums of one epoch; they stay on the device until the epoch ends."""

    def __init__(self) -> None:
        self.terms: dict[str, Tensor] = {}
        self.weighted: dict[str, Tensor] = {}
        self.weights: dict[str, float] = {}
        self.correct: Any = 0
        self.images = self.steps = 0

    def add(self, losses: Losses, images: int) -> None:
        for name, loss in losses.terms.items():
            value = loss.detach()
            self.terms[name] = self.terms.get(name, 0) + value
            self.weighted[name] = self.weighted.get(name, 0) + losses.weights[name] * value
        self.weights = losses.weights
        self.correct = self.correct + losses.correct
        self.images += images
        self.steps += 1

    def line(self, epoch: int, step: int, lr: float) -> dict[str, Any]:
        """The epoch's means, as metrics.jsonl holds them; weights are those of the last step."""
        weighted = {name: float(v) / self.steps for name, v in self.weighted.items()}
        compared = {"share_of_loss": shares(weighted)} if len(weighted) > 1 else {}
        return {
            "epoch": epoch,
            "step": step,
            "lr": lr,
            "loss": sum(weighted.values()),
            "terms": {name: float(v) / self.steps for name, v in self.terms.items()},
            "weights": self.weights,
            "weighted": weighted,
            "train_accuracy": float(self.correct) / self.images,
        } | compared
