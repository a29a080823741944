"""`teacher.follow` in a recipe: teachers that are followed while they learn."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from kdcli.records import OPTIONS

Follow = Literal["finished", "trajectory", "together"]
Clock = Literal["progress", "steps"]


class Checkpoints(BaseModel):
    """What a trajectory keeps of a teacher's training, and how a student goes through it."""

    model_config = OPTIONS
    count: Annotated[int, Field(ge=1)] = 40
    """So many, at most one per step; the last step is always among them."""
    spacing: Literal["even", "early"] = "even"
    """`early`: their steps grow by a factor, so that most lie near the beginning."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """As they are stored; fp16 takes half the disk."""
    clock: Clock = "progress"
    """Of the student: as far through its training as the teacher was, or after as many steps."""

    def steps(self, total: int) -> tuple[int, ...]:
        """After which of `total` steps (from 1 on) a checkpoint is kept; ascending."""
        count = min(self.count, total)
        if self.spacing == "even":
            return tuple(-(-i * total // count) for i in range(1, count + 1))
        found: list[int] = []
        for i in range(1, count + 1):
            least, most = (found[-1] if found else 0) + 1, total - (count - i)
            found.append(min(max(least, round(total ** (i / count))), most))
        return tuple(found)
