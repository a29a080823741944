"""Will a teacher pay here? From what can be known in minutes, which is little."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kdcli.core.text import counted
from kdcli.data.defaults import FEW_VALIDATED
from kdcli.evaluation.lead import WHAT_HELPS
from kdcli.evaluation.significance import detectable_gain

KEPT, KEPT_WITH_FURTHER = 0.3, 0.5
"""Of a teacher's lead over labels alone, what a student usually gains: from the labelled images,
and where it is also taught on as many without labels."""
WORTH = 0.005
"""Less than half a point is no gain that one would train a teacher for."""

UNKNOWN = (
    "how far it is ahead of labels alone is not known; kd doctor DATA --teacher T --student S "
    "measures it"
)
HEAD_START = (
    "but labels alone had not converged, and a lead over that may melt: --set train.epochs=... "
    "for both"
)
OTHER_CLASSES = (
    "it has other classes than the data, and no accuracy to go by; kd evaluate --seeds 3 will tell"
)

Pays = Literal["yes", "no", "open"]


@dataclass(frozen=True)
class Signs:
    """What is known beforehand; accuracies and gains in [0, 1]."""

    teacher: float | None
    """What the best of the teachers reaches, or is expected to; None: not measured."""
    alone: float | None
    """What the student reaches on labels alone, or is expected to; None: not measured."""
    labels_per_class: float
    further: int
    """Images without labels that the student is taught on."""
    labelled: int
    validation_images: int
    test_images: int
    other_classes: bool = False
    """The teachers answer others than the data's."""
    converged: bool = True
    """A finished training from labels alone had; one that was extrapolated is not asked."""

    @property
    def lead(self) -> float | None:
        """Of the teacher over labels alone."""
        return None if self.teacher is None or self.alone is None else self.teacher - self.alone

    @property
    def smallest_gain(self) -> float | None:
        """That the test images can show: networks that are wrong equally often are apart on about
        as many images."""
        wrong = 0.2 if self.alone is None else max(1 - self.alone, 1 / self.test_images)
        return detectable_gain(wrong, self.test_images)


@dataclass(frozen=True)
class Prognosis:
    """What follows from the signs."""

    signs: Signs
    expected_gain: float | None
    """None: nobody knows."""
    pays: Pays
    reason: str

    @property
    def words(self) -> str:
        """The verdict, in a sentence."""
        if self.expected_gain is None:
            return f"nobody can tell yet whether a teacher pays here: {self.reason}"
        says = {"yes": "will probably pay", "no": "will probably not pay", "open": "may pay"}
        return f"a teacher {says[self.pays]} here, whatever the recipe: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        signs = asdict(self.signs)
        derived = {"lead": self.signs.lead, "smallest_gain": self.signs.smallest_gain}
        found = {"expected_gain": self.expected_gain, "pays": self.pays, "reason": self.reason}
        return signs | derived | found


def prognosis(signs: Signs) -> Prognosis:
    """Whether the gain that such a lead usually gives is one, and one that could be shown."""
    if signs.other_classes:
        return Prognosis(signs, None, "open", OTHER_CLASSES)
    if signs.validation_images < FEW_VALIDATED:
        few = counted(signs.validation_images, "validation image")
        more = f"{FEW_VALIDATED} or more with labels, in val/, could"
        return Prognosis(signs, None, "open", f"{few} cannot tell who is ahead; {more}")
    if signs.alone is not None and 1 - signs.alone < WORTH:
        left = f"labels alone reach {100 * signs.alone:.1f}%, and next to nothing is left to gain"
        return Prognosis(signs, 0.0, "no", left)
    if signs.lead is None:
        return Prognosis(signs, None, "open", UNKNOWN)
    share = KEPT_WITH_FURTHER if signs.further >= signs.labelled else KEPT
    expected = share * signs.lead
    if signs.lead <= 0:
        return Prognosis(
            signs, 0.0, "no", f"it is not ahead of what labels alone reach; {WHAT_HELPS}"
        )
    needed = max(WORTH, signs.smallest_gain or 1.0)
    reason = (
        f"it is about {100 * signs.lead:.1f} points ahead of labels alone, of which a student "
        f"usually gains {share:.0%}, {100 * expected:.1f}; the test images can show gains from "
        f"{100 * needed:.1f} on"
    )
    if not signs.converged:
        return Prognosis(signs, expected, "open", f"{reason}; {HEAD_START}")
    if expected >= needed:
        return Prognosis(signs, expected, "yes", reason)
    if expected >= needed / 2:
        return Prognosis(signs, expected, "open", f"{reason}: more of them, or more seeds, show it")
    return Prognosis(signs, expected, "no", reason)
