"""How far a teacher is ahead of its student's baseline, before the student is trained."""

from dataclasses import dataclass

from kdcli.core.arrays import Bools
from kdcli.core.text import signed
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
    student: str
    teacher_accuracy: float
    baseline_accuracy: float
    found: Gain
    """teacher - baseline."""
    images: int

    @property
    def ahead(self) -> bool:
        """By whatever little, decided or not."""
        return self.found.gain > 0

    @property
    def words(self) -> str:
        """With its interval; what to do about it, where it is not ahead."""
        low, high = (signed(100 * end) for end in (self.found.ci95.low, self.found.ci95.high))
        said = (
            f"teacher {self.teacher} is {'ahead' if self.ahead else 'not ahead'} of its student's "
            f"baseline, {self.student} trained without it: {100 * self.teacher_accuracy:.1f} and "
            f"{100 * self.baseline_accuracy:.1f}% of {self.images:,} validation images "
            f"({signed(100 * self.found.gain)} points, 95% CI {low} to {high})"
        )
        return said if self.ahead else f"{said}; {WHAT_HELPS}"


def lead(teacher: str, student: str, theirs: Bools, alone: Bools) -> Lead:
    """From what a teacher and a baseline got right of the same (N,) validation images."""
    accuracies = float(theirs.mean()), float(alone.mean())
    found = paired_gain(theirs[None], alone[None])
    return Lead(teacher, student, *accuracies, found, len(theirs))
