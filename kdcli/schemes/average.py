"""Several finished teachers, a student that imitates their mean."""

from collections.abc import Mapping

import torch

from kdcli.core.functional import as_one
from kdcli.core.records import Aggregate, Learner, Lesson, MemberWeights, Outputs, Pair, Panel
from kdcli.core.scheme import Scheme
from kdcli.schemes._shared import panel_of, teachers_of


class Average(Scheme):
    """One student learns from labels and the mean of several frozen teachers (arXiv:2302.07215).

    The papers' output average, T^2 KL(mean_h p_h || p_s), and loss average,
    mean_h T^2 KL(p_h || p_s), have the same gradient at every temperature: the divergence is linear
    in the target but for a term that the student does not enter. So both are N pairs, weighted, and
    every method scores each teacher on its own, features included.
    """

    weights: MemberWeights = None
    """One per named teacher, spread evenly over its members, or one per member, in their order;
    `null` counts all alike. Only their ratios matter."""
    aggregate: Aggregate = "probabilities"
    """`logits` imitates the mean of the teachers' logits instead, which is one pair; it has no
    features."""

    def panel(self, teachers: int) -> Panel:
        return panel_of(self.weights, teachers, self.aggregate)

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        teachers = teachers_of(outputs)
        panel = self.panel(len(teachers))
        if panel.aggregate == "logits":
            mean = as_one(torch.stack([t.logits for t in teachers], 1), panel)
            return Lesson((Learner(student),), (Pair(student, Outputs("teachers", mean)),))
        pairs = zip(teachers, panel.weights, strict=True)
        return Lesson((Learner(student),), tuple(Pair(student, t, share) for t, share in pairs))
