"""A finished teacher, a student that imitates it."""

from collections.abc import Mapping

from kdcli.core.records import Lesson, Outputs, Panel
from kdcli.core.scheme import Scheme
from kdcli.schemes._shared import lesson_of_one, panel_of_one


class Offline(Scheme):
    """One student learns from labels and from a finished, frozen teacher."""

    def panel(self, teachers: int) -> Panel:
        return panel_of_one("offline", teachers)

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        return lesson_of_one("offline", outputs)
