"""`teacher:` in a recipe: how one is made and run, and how it is followed while it learns.

None of it is in a student's digest by itself: a teacher counts by its own spec or file; precision,
`follow`, `views` and `keep` by what `Spec` makes of them.
"""

from typing import Annotated, Literal

from pydantic import Field

from kdcli.core.options import Options
from kdcli.recipe.data import Auto, Subset

Follow = Literal["finished", "trajectory", "together"]
Clock = Literal["progress", "steps"]
Answers = Literal["live", "stored", "auto"]
Keep = Annotated[int, Field(ge=1)] | Literal["all", "half"]


# 40 models of resnet101's size are 6.8 GB, which the plan tells before the wait. A checkpoint at
# every step gives the same student as learning together, to 1e-6 (docs/architecture.md).
class Checkpoints(Options):
    """What a trajectory keeps of a teacher's training, and how a student goes through it."""

    count: Annotated[int, Field(ge=1)] = 40
    """So many, at most one per step; the last step is always among them."""
    spacing: Literal["even", "early"] = "even"
    """`early`: their steps grow by a factor, so that most lie near the beginning."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """As they are stored; fp16 takes half the disk."""
    clock: Clock = "progress"
    """Of the student: as far through its training as the teacher was, or after as many steps."""

    def steps(self, total: int) -> tuple[int, ...]:
        """After which of `total` steps (from 1 on) a checkpoint is kept; ascending.

        `early` is geometric, total^(i / count). Where that asks for one step twice, or leaves too
        few for those behind it, the next free step is taken: always `count` different ones.
        """
        count = min(self.count, total)
        if self.spacing == "even":  # rounded up, so that the last is `total` itself
            return tuple(-(-i * total // count) for i in range(1, count + 1))
        found: list[int] = []
        for i in range(1, count + 1):
            least, most = (found[-1] if found else 0) + 1, total - (count - i)
            found.append(min(max(least, round(total ** (i / count))), most))
        return tuple(found)


Precision = Literal["fp32", "bf16", "auto"]


def own_recipe(keys: str) -> str:
    """How a teacher is trained with `keys`, in YAML: nothing of the student's recipe reaches it."""
    return f"--set teacher.recipe=FILE, in FILE {{scheme: alone, {keys}}}"


BALANCED = "train: {balance: sampler, select: balanced_accuracy}"
"""What its recipe says for the sake of rare classes."""


class TeacherSettings(Options):
    """How a teacher is made and run."""

    pretrained: bool | Auto = "auto"
    """As student.pretrained, for a teacher that has to be trained."""
    stem_stride: Literal[1, 2] | None = None
    """As student.stem_stride, for a teacher that has to be trained."""
    precision: Precision = "auto"
    """Of its forward pass while teaching."""
    recipe: str = "supervised"
    """What trains it when there is none."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Its own, so that all students of a comparison have the same teacher."""
    tune: Literal["all", "head", "none"] = "all"
    """As train.tune, for a teacher that has to be trained. `none`: no teacher is; each is taken as
    it is, pretrained or finished, and may have other classes than the data."""
    image_size: Annotated[int, Field(ge=8, le=1024)] | None = None
    """Pixels of a side that a teacher of `tune: none` is fed; `null`: as it was trained."""
    seeds: Annotated[int, Field(ge=1)] = 1
    """So many members of each teacher that has to be trained: they differ in their seeds, from
    `seed` on."""
    subset: Subset = 1.0
    """As data.subset, for teachers that have to be trained: each member draws its own."""
    follow: Follow = "finished"
    """The student follows the teacher through the checkpoints of its training (`trajectory`), or
    step by step while both learn (`together`)."""
    checkpoints: Checkpoints = Checkpoints()
    """Of a trajectory."""
    answers: Answers = "auto"
    """`live` asks at every step; `stored` asks once about each view of each image, for all epochs,
    seeds, recipes and students; `auto` stores where that asks less and changes nothing."""
    views: Annotated[int, Field(ge=1)] | Auto = "auto"
    """So many augmented views of each image, round which the epochs go; `auto`: as many as epochs,
    with `answers: stored` at most 16."""
    keep: Keep = "all"
    """Of each stored answer: all logits, all of them in fp16 (`half`), or the N largest and what
    the others come to."""
    allow_weak: bool = False
    """Go on with teachers that are hardly better than chance."""
