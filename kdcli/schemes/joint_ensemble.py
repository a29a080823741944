"""No teacher: several models that are averaged while they are trained."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from kdcli.core.records import Aggregate, Learner, Lesson, Outputs, Pair
from kdcli.core.scheme import Scheme


class JointEnsemble(Scheme):
    """Models that learn from labels as one, averaged from the first step (Allen-Zhu, Li 2020).

    The control of Towards Understanding Ensemble, Knowledge Distillation and Self-Distillation in
    Deep Learning, arXiv:2012.09816: models that differ in nothing but their random start, whose
    outputs are averaged during the training, gain next to nothing over a single one; the same
    models gain when each is trained on its own.
    """

    needs_teacher: ClassVar[bool] = False
    members: Annotated[int, Field(ge=2)] = 3
    """Models side by side, of different random weights."""
    aggregate: Aggregate = "logits"
    """What is averaged; their control averages the outputs, which are logits."""

    def student_args(self, teachers: int) -> dict[str, Any]:
        return {"copies": self.members, "aggregate": self.aggregate}

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        return Lesson(learners=(Learner(student),), pairs=(Pair(student, None),))
