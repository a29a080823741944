"""Several finished teachers, a student with one head for each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kdcli.core.records import Aggregate, Learner, Lesson, MemberWeights, Outputs, Pair, Panel
from kdcli.core.scheme import Scheme
from kdcli.schemes._shared import panel_of, teachers_of


class MimicAll(Scheme):
    """A student whose every head imitates one of several frozen teachers (arXiv:2302.07215).

    a CE(mean_h p_h, labels) + (1 - a) mean_h KL(teacher_h || p_h), where a is the task weight:
    the heads share one trunk, the labels see them as one. Features and embedding are the trunk's,
    so that every pair has them. With one teacher there is one head, as in `average`.
    """

    weights: MemberWeights = None
    """One per named teacher, spread evenly over its members and their heads, or one per member, in
    their order; `null` counts all alike. Only their ratios matter."""
    aggregate: Aggregate = "probabilities"
    """How the heads answer as one; `logits` can be folded into one head without loss."""

    def panel(self, teachers: int) -> Panel:
        return panel_of(self.weights, teachers, self.aggregate)

    def student_args(self, teachers: int) -> dict[str, Any]:
        if teachers == 1:
            return {}
        panel = self.panel(teachers)
        return {"heads": teachers, "weights": panel.weights, "aggregate": panel.aggregate}

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        teachers = teachers_of(outputs)
        shares = self.panel(len(teachers)).weights
        pairs = zip(_heads(student, len(teachers)), teachers, shares, strict=True)
        return Lesson((Learner(student),), tuple(Pair(*pair) for pair in pairs))


def _heads(student: Outputs, teachers: int) -> list[Outputs]:
    """The student once per teacher, each time with the logits of another head."""
    if teachers == 1:
        return [student]
    assert student.heads is not None  # student_args has asked for them
    return [
        replace(student, by=f"{student.by}@head.{h}", logits=logits, heads=None)
        for h, logits in enumerate(student.heads.unbind(1))
    ]
