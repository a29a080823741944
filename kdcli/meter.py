"""The means of one epoch, as metrics.jsonl holds them."""

from typing import Any

from torch import Tensor

from kdcli.distiller import Losses


class Meter:
    """Sums of one epoch; they stay on the device until the epoch ends."""

    def __init__(self) -> None:
        self.terms: dict[str, Tensor] = {}
        self.weighted: dict[str, Tensor] = {}
        self.correct: Any = 0
        self.images = self.steps = 0

    def add(self, losses: Losses, images: int) -> None:
        for name, loss in losses.terms.items():
            value = loss.detach()
            self.terms[name] = self.terms.get(name, 0) + value
            self.weighted[name] = self.weighted.get(name, 0) + losses.weights[name] * value
        self.correct = self.correct + losses.correct
        self.images += images
        self.steps += 1

    def line(self, epoch: int, step: int, lr: float) -> dict[str, Any]:
        """The epoch's means, as metrics.jsonl holds them."""
        weighted = {name: float(v) / self.steps for name, v in self.weighted.items()}
        return {
            "epoch": epoch,
            "step": step,
            "lr": lr,
            "loss": sum(weighted.values()),
            "terms": {name: float(v) / self.steps for name, v in self.terms.items()},
            "weighted": weighted,
            "train_accuracy": float(self.correct) / self.images,
        }
