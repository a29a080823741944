"""`who:` in a user's own recipe: teachers, assistants, student, data, seed.

Shipped recipes have none: they say how, and flags say who. In a file of one's own both may stand,
so that one committed file is a whole job.
"""

from typing import Annotated

from pydantic import Field, model_validator

from kdcli.core.options import Options
from kdcli.recipe.data import Subset


class TeacherEntry(Options):
    """One entry of who.teachers that says more than a name."""

    shorthand = "model"
    model: str
    seeds: Annotated[int, Field(ge=1)] | None = None
    """In place of teacher.seeds."""
    subset: Subset | None = None
    """In place of teacher.subset."""


class Who(Options):
    """Who and what, in a user's own file; flags override it."""

    teacher: str | None = None
    teachers: Annotated[tuple[str | TeacherEntry, ...], Field(strict=False)] = ()
    """Several, in place of `teacher`."""
    assistants: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Between teacher and student, the largest first."""
    student: str | None = None
    peers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Models that learn beside the student, in schemes that have such."""
    data: str | None = None
    seed: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_or_several(self) -> "Who":
        if self.teacher is not None and self.teachers:
            raise ValueError("expects teacher or teachers, one of the two")
        return self

    @property
    def taught_by(self) -> tuple[str | TeacherEntry, ...]:
        """Whether one was named or several."""
        return self.teachers if self.teacher is None else (self.teacher,)
