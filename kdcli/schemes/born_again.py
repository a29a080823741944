"""A model that is taught by its own earlier generation, and that by the one before."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from kdcli.core.records import Lesson, Outputs, Panel
from kdcli.core.scheme import Scheme
from kdcli.schemes._shared import lesson_of_one, panel_of_one


class BornAgain(Scheme):
    """One model, generation after generation, each taught by the one before (arXiv:1805.04770).

    Born-Again Neural Networks (Furlanello et al. 2018): generation 0 learns from labels alone, each
    further one begins afresh and imitates the one before, which is finished and frozen; the last is
    the student. Their loss is KL at T = 1 alone (BAN), or with the labels' cross-entropy beside it
    (BAN+L: task weight 1). All generations together, the mean of their probabilities (BANE), are
    the role `generations` of a report.

    Generation 0 is trained as the baseline is, from other starting weights and `teacher.seed`; a
    teacher that is named takes its place. The further ones have the student's seed and settings,
    and lie under runs/ as any training does: more generations reuse those that are there, all but
    the last, which begins as the baseline does and is trained anew. Random starts differ from one
    generation to the next; pretrained or given weights are the start of all of them.
    """

    teaches_itself: ClassVar[bool] = True
    has_generations: ClassVar[bool] = True
    generations: Annotated[int, Field(ge=1)] = 2
    """Generations that are taught, the student among them; generation 0 is not counted: 2 are
    three trainings."""

    def panel(self, teachers: int) -> Panel:
        return panel_of_one("born_again", teachers)

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        return lesson_of_one("born_again", outputs)
