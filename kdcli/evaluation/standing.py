"""Is a teacher good enough to teach? One judge for whoever is given, trained or followed."""

from dataclasses import dataclass

from kdcli.core.arrays import Ints
from kdcli.evaluation.intervals import Interval
from kdcli.evaluation.metrics import balanced_accuracy, balanced_interval, too_weak


@dataclass(frozen=True)
class Standing:
    """How a teacher does on validation.

    At balanced accuracy, with its 95% interval: right on nine of ten images is no better than
    chance where nine of ten are of one class.
    """

    who: str
    share: float
    """Balanced accuracy, in [0, 1]."""
    interval: Interval
    classes: int

    @property
    def weak(self) -> bool:
        """It may be no better than chance (`metrics.too_weak`)."""
        return too_weak(self.interval, self.classes)

    @property
    def words(self) -> str:
        """What it reached, and that it is weak."""
        words = (
            f"{self.who}: balanced validation accuracy {self.share:.3f} "
            f"(95% CI {self.interval.low:.3f} to {self.interval.high:.3f})"
        )
        chance = f", hardly better than chance ({1 / self.classes:.3f})"
        return words + (chance if self.weak else "")

    @property
    def warning(self) -> str:
        """Of a weak one that teaches all the same."""
        return f"{self.words}: a student has little to learn from it"


def standing(who: str, predictions: Ints, labels: Ints, classes: int) -> Standing:
    """Of its answers (N,) to images of these labels (N,)."""
    return Standing(who, *balanced_accuracy(predictions, labels, classes), classes)


def standing_at(who: str, recall: float, labels: Ints, classes: int) -> Standing:
    """Of the balanced accuracy that was written down, on images of these labels."""
    return Standing(who, recall, balanced_interval(recall, labels), classes)
