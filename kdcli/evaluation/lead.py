"""How far a teacher is ahead of its student's baseline, before the student is trained."""

from dataclasses import dataclass
from typing import Any

from kdcli.core.arrays import Bools
from kdcli.core.text import points, span
from kdcli.evaluation.significance import Gain, paired_gain

WHAT_HELPS = (
    "what would help: a teacher that is pretrained (--teacher NAME=FILE, a name with a tag), that "
    "was trained longer (--set teacher.recipe=FILE, in FILE {scheme: alone, train: {epochs: N}}) "
    "or on more labels; else kd train the small model"
)


@dataclass(frozen=True)
class Lead:
    """A teacher against the student that learnt from labels alone, on validation."""

    teacher: str
    """With its part in the chain: `teacher resnet18`."""
    student: str
    teacher_accuracy: float
    baseline_accuracy: float
    found: Gain
    """teacher - baseline."""
    images: int

    @property
    def behind(self) -> bool:
        """Or level."""
        return self.found.gain <= 0

    @property
    def words(self) -> str:
        """With its interval; what to do about it, where it is not ahead."""
        theirs, alone = 100 * self.teacher_accuracy, 100 * self.baseline_accuracy
        low, high = self.found.ci95.low, self.found.ci95.high
        said = (
            f"{self.teacher} {self._how} its student's baseline, {self.student} trained without "
            f"it: {theirs:.1f} and {alone:.1f}% of {self.images:,} validation images "
            f"({points(self.found.gain)}, 95% CI {span(low, high)})"
        )
        return f"{said}; {WHAT_HELPS}" if self.behind else said

    @property
    def _how(self) -> str:
        if self.behind:
            return "is not ahead of"
        return "is ahead of" if self.found.ci95.low > 0 else "cannot be told from"

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "teacher": self.teacher,
            "teacher_accuracy": self.teacher_accuracy,
            "baseline_accuracy": self.baseline_accuracy,
            "lead": self.found.gain,
            "lead_ci95": {"low": self.found.ci95.low, "high": self.found.ci95.high},
            "validation_images": self.images,
        }


def lead(teacher: str, student: str, theirs: Bools, alone: Bools) -> Lead:
    """From what a teacher and a baseline got right of the same (N,) validation images."""
    accuracies = float(theirs.mean()), float(alone.mean())
    found = paired_gain(theirs[None], alone[None])
    return Lead(teacher, student, *accuracies, found, len(theirs))
