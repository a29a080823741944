"""Is a teacher good enough to teach? One judge for whoever is given, trained or followed."""

from dataclasses import dataclass

from kdcli.core.arrays import Ints
from kdcli.evaluation.intervals import Interval, share_interval
from kdcli.evaluation.metrics import balanced_accuracy, images_worth

ABOVE = 0.05
"""By this share of what is left above chance a teacher has to be better than chance."""


@dataclass(frozen=True)
class Standing:
    """How a teacher does on validation.

    At balanced accuracy, with its 95% interval: right on nine of ten images is no better than
    chance where nine of ten are of one class.
    """

    who: str
    share: float
    """Balanced accuracy, in [0, 1]."""
    images: float
    """On as many as its share is worth."""
    classes: int

    @property
    def interval(self) -> Interval:
        """The 95% one of its share."""
        return share_interval(self.share, self.images)

    @property
    def weak(self) -> bool:
        """An exact test, one-sided at 5%, does not show that it is better than chance and `ABOVE`:
        on nine images of ten classes three right ones are too few."""
        chance = 1 / self.classes
        at_least = share_interval(self.share, self.images, confidence=0.9).low
        return at_least <= chance + ABOVE * (1 - chance)

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
    return standing_at(who, balanced_accuracy(predictions, labels, classes), labels, classes)


def standing_at(who: str, recall: float, labels: Ints, classes: int) -> Standing:
    """Of the balanced accuracy that was written down, on images of these labels."""
    return Standing(who, recall, images_worth(labels), classes)
