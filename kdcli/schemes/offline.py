"""A finished teacher, a student that imitates it."""

from collections.abc import Mapping

from kdcli.errors import UnmetNeeds
from kdcli.functional import teachers_of
from kdcli.records import Learner, Lesson, Outputs, Pair, Panel, Scheme


class Offline(Scheme):
    """One student learns from labels and from a finished, frozen teacher."""

    def panel(self, teachers: int) -> Panel:
        if teachers != 1:
            raise UnmetNeeds(
                f"scheme offline takes one teacher, not {teachers}",
                "scheme: average imitates the mean of several",
            )
        return Panel((1.0,))

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        teachers = teachers_of(outputs)
        self.panel(len(teachers))
        return Lesson(learners=(Learner(student),), pairs=(Pair(student, teachers[0]),))
