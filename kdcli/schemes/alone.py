"""No teacher: what `kd train` and the baseline use."""

from collections.abc import Mapping
from typing import ClassVar

from kdcli.core.records import Learner, Lesson, Outputs, Pair
from kdcli.core.scheme import Scheme


class Alone(Scheme):
    """One model learns from labels; teacher-free methods may score it."""

    needs_teacher: ClassVar[bool] = False

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        return Lesson(learners=(Learner(student),), pairs=(Pair(student, None),))
