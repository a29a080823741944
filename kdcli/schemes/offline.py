"""A finished teacher, a student that imitates it."""

from collections.abc import Mapping

from kdcli.records import Learner, Lesson, Outputs, Pair, Scheme


class Offline(Scheme):
    """One student learns from labels and from a finished, frozen teacher."""

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        return Lesson(learners=(Learner(student),), pairs=(Pair(student, outputs["teacher.0"]),))
