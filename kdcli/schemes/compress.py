"""An ensemble labels a transfer set once, a student learns its soft answers."""

from collections.abc import Mapping
from typing import ClassVar

from kdcli.core.records import Aggregate, Learner, Lesson, MemberWeights, Outputs, Pair, Panel
from kdcli.core.scheme import Scheme
from kdcli.schemes._shared import panel_of


class Compress(Scheme):
    """One student learns what an ensemble says of images, no label needed (Bucila et al. 2006).

    Model Compression (Bucila, Caruana, Niculescu-Mizil, KDD 2006): the teachers answer all of a
    transfer set before the first step, one after another, and only their mean is kept. The labels
    that the student sees are the ensemble's first choices: what a task weight above 0 counts, and
    what training accuracy is measured against.

    The kept mean is that of probabilities at T = 1. At a method's temperature of 4 it is softened
    afterwards (p^(1/4), normalised), which is not the mean of the teachers' softened probabilities:
    kd warns. Temperature 1 is exact, and so is `aggregate: logits` at every one, for the mean of
    logits.
    """

    labelled_by_teachers: ClassVar[bool] = True
    weights: MemberWeights = None
    """One per named teacher, spread evenly over its members, or one per member, in their order;
    `null` counts all alike. Only their ratios matter."""
    aggregate: Aggregate = "probabilities"
    """`logits` keeps the mean of the teachers' logits instead."""

    def panel(self, teachers: int) -> Panel:
        return panel_of(self.weights, teachers, self.aggregate)

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        return Lesson((Learner(student),), (Pair(student, outputs["teachers"]),))
