"""What decides a training's weights: "was this made from the same things?" """

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict

from kdcli.core.options import LATER, NO_WEIGHT, left_out
from kdcli.recipe.schema import Recipe
from kdcli.recipe.teacher import Checkpoints
from kdcli.runs.names import folder_name, slug

_FROZEN = ConfigDict(frozen=True, extra="forbid")
NAMED = 3
"""Teachers that a folder's name spells out."""
RULES = 3
"""Counts up whenever a kd decodes, varies, orders or identifies images otherwise than the one
before. Runs of a lower number are listed, inspected and exported, but never taken for new ones, nor
measured on images that are read by new rules."""

Role = Literal["teacher", "assistant", "generation", "baseline", "student"]
"""Whose training it is; a generation is taught by its own kind, and teaches it."""


class DataRef(BaseModel):
    """Which data: `location` is what --data said (None: the built-in default), made absolute."""

    model_config = _FROZEN
    name: str
    location: str | None
    identity: dict[str, Any]
    rules: int = 1
    """By which rules files became pixels, classes and `identity`; see `RULES`."""

    @property
    def is_older(self) -> bool:
        """They were read by the rules of an older kd."""
        return self.rules < RULES

    @property
    def deciding(self) -> dict[str, Any]:
        """What a training's weights depend on."""
        # rules 1 say nothing: runs from before there was a count have the digests they had
        return self.identity | ({"rules": self.rules} if self.rules > 1 else {})


class FileRef(BaseModel):
    """A given file of weights that a training starts from, and what was told of their model."""

    model_config = _FROZEN
    path: Annotated[str, NO_WEIGHT]
    sha256: str
    options: dict[str, bool | int | float | str] = {}
    """Further constructor arguments of the model (`models.build.ModelArgs.options`)."""
    mean: tuple[float, ...] | None = None
    """Of the normalisation they were trained with; None: timm's for the model's name."""
    std: tuple[float, ...] | None = None
    origin: Annotated[str, NO_WEIGHT] = ""
    """Where the weights come from, as far as it means anything elsewhere; empty: the file."""
    licence: Annotated[str | None, NO_WEIGHT] = None
    """As its maker states it."""


class TeacherRef(BaseModel):
    """A teacher: one that is to be trained (`spec`), or a given file (`path`, `sha256`)."""

    model_config = _FROZEN
    model: str
    spec: "Spec | None" = None
    seeds: int = 1
    """So many members that are trained alike but for their seeds, from the spec's on."""
    path: str | None = None
    sha256: str | None = None

    @property
    def members(self) -> "tuple[TeacherRef, ...]":
        """Each of them as a teacher of its own."""
        if self.spec is None or self.seeds == 1:
            return (self,)
        specs = self.spec.alike(self.seeds)
        return tuple(self.model_copy(update={"spec": spec, "seeds": 1}) for spec in specs)

    @property
    def identity(self) -> str:
        """What a student's weights depend on."""
        if self.spec is None:
            return f"sha256:{self.sha256}"
        return self.spec.digest + (f" x {self.seeds}" if self.seeds > 1 else "")

    @property
    def kind(self) -> str:
        """The same for members that differ in their seeds alone."""
        return self.spec.kind if self.spec else self.identity

    @property
    def words(self) -> str:
        """`resnet18`, or `resnet18 x 3`."""
        return self.model + (f" x {self.seeds}" if self.seeds > 1 else "")


class Spec(BaseModel):
    """Everything that decides a training's weights, and whose it is."""

    model_config = _FROZEN
    role: Role
    model: str
    """timm's name."""
    data: DataRef
    recipe_name: str
    recipe: Recipe
    """Resolved: no `auto` left."""
    seed: int = 0
    teachers: tuple[TeacherRef, ...] = ()
    weights: FileRef | None = None
    """Where it starts from, in place of random or timm's weights."""
    peers: tuple[str, ...] = ()
    """timm's names of those that learn beside it (`peer.1`, ...)."""
    unlabelled: DataRef | None = None
    """Images without labels that it learns from, too (data.unlabelled)."""
    keeps: Checkpoints | None = None
    """Of its training, for a student that follows its trajectory."""

    @property
    def is_taught(self) -> bool:
        """It learns from more than labels, so that a baseline belongs beside it."""
        return self.role == "student" or self.stands_between

    @property
    def stands_between(self) -> bool:
        """It is taught, and teaches the student or the next one."""
        return self.role in ("assistant", "generation")

    @property
    def members(self) -> tuple[TeacherRef, ...]:
        """Every single teacher."""
        return tuple(member for teacher in self.teachers for member in teacher.members)

    @property
    def alongside(self) -> dict[str, TeacherRef]:
        """Teachers that learn in the same loop, by the names of what is kept of them."""
        if self.recipe.teacher.follow != "together":
            return {}
        members = self.members
        names = [f"teacher.{i}" for i in range(len(members))] if len(members) > 1 else ["teacher"]
        return dict(zip(names, members, strict=False))

    @property
    def before(self) -> "tuple[Spec, ...]":
        """The trainings of teachers that have to be finished first."""
        members = () if self.alongside else self.members
        return tuple(member.spec for member in members if member.spec)

    @property
    def beside(self) -> tuple[str, ...]:
        """timm's names of all that learn at its steps: peers, and teachers that it follows."""
        return (*self.peers, *(teacher.model for teacher in self.alongside.values()))

    @property
    def start(self) -> str:
        """Whose starting weights: no student begins where its teacher began.

        In the digest in place of the role: a baseline is `student` here, as it begins where the
        student does.
        """
        if self.role == "assistant":
            return f"assistant.{self._alike_above}"
        if self.role == "generation":  # generation 0 is the teacher
            return f"generation.{1 + self._alike_above}"
        return "teacher" if self.role == "teacher" else "student"

    @property
    def title(self) -> str:
        """Its role; of a generation, which one: `generation 1`; of a student that its own baseline
        teaches, `self-training`."""
        if any(teacher.spec and teacher.spec.role == "baseline" for teacher in self.teachers):
            return "self-training"
        return self.start.replace(".", " ") if self.role == "generation" else self.role

    @property
    def _alike_above(self) -> int:
        """How many of its role stand above it."""
        above = (t.spec for t in self.teachers if t.spec and t.spec.role == self.role)
        return max((1 + spec._alike_above for spec in above), default=0)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits over what changes the weights, and nothing else.

        32 bits: among a thousand runs two are mistaken for each other once in 8,600 times. Never
        kept: a cached value went along with `model_copy`, and a changed copy had the old digest.
        """
        text = json.dumps(self.deciding, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def kind(self) -> str:
        """The digest but for the seed: one for all trainings that differ in nothing else."""
        return with_seed(self, 0).digest

    def alike(self, count: int) -> "list[Spec]":
        """So many trainings that differ in their seeds alone, from this one on."""
        return [with_seed(self, self.seed + i) for i in range(count)]

    @property
    def deciding(self) -> dict[str, Any]:
        """All that the weights depend on; teachers by what they depend on."""
        # What is not there leaves no key behind: every digest is that of the kd before it came.
        recipe = _deciding(self.recipe)
        for name, use in recipe["methods"].items():
            use["use"] = use["use"] or name  # `kd:` and `kd: {use: kd}` are one training
        given: dict[str, Any] = {}
        if self.weights:
            given |= {"weights": _deciding(self.weights)}
        if self.unlabelled:
            recipe["data"] |= {"unlabelled": self.unlabelled.deciding}
        if self.peers:
            given |= {"peers": self.peers}
        if self.keeps:  # the clock is that of who follows
            kept = _deciding(self.keeps)
            given |= {"keeps": {key: value for key, value in kept.items() if key != "clock"}}
        if self.teachers and (followed := self._followed()):
            given |= {"follows": followed}
        return given | {
            "model": self.model,
            "start": self.start,
            "data": self.data.deciding,
            "recipe": recipe,
            "seed": self.seed,
            # in bf16 a teacher's soft targets are others; how it was trained is in its identity
            "teachers": [
                {"identity": t.identity, "precision": self.recipe.teacher.precision} | self._asked
                for t in self.teachers
            ],
        }

    @property
    def views(self) -> int:
        """Augmented views of each image, round which the epochs go; 0: each epoch has its own. A
        baseline always has: it is to be as good as it can."""
        views, recipe = self.recipe.teacher.views, self.recipe
        fewer = views != "auto" and views < int(recipe.train.epochs) and recipe.varies
        return int(views) if fewer and self.teachers else 0

    @property
    def _asked(self) -> dict[str, Any]:
        """What of its teachers' answers is less than all there is to say; whether they were stored
        is none of it."""
        keep = self.recipe.teacher.keep
        return ({"views": self.views} if self.views else {}) | (
            {"keep": keep} if keep != "all" else {}
        )

    def _followed(self) -> list[str]:
        """How it follows its teachers, where they are not finished."""
        teacher = self.recipe.teacher
        clock = [teacher.checkpoints.clock] * (teacher.follow == "trajectory")
        return [] if teacher.follow == "finished" else [teacher.follow, *clock]

    @property
    def folder_name(self) -> str:
        """`kd-resnet101-mobilenetv3_small_100-digits-s0-1a2b3c4d`; part of the interface."""
        who = [self.recipe_name, *(t.words.replace(" x ", "x") for t in self.teachers[:NAMED])]
        if more := len(self.teachers) - NAMED:
            who += [f"and_{more}_more"] * (more > 0)
        first = who if self.role in ("student", "assistant") else [self.title.replace(" ", "_")]
        others = dict.fromkeys(peer for peer in self.peers if peer != self.model)
        parts = [*first, "_with_".join([self.model, *others]), self.data.name]
        return folder_name([*map(slug, parts), f"s{self.seed}", self.digest])


def with_seed(spec: Spec, seed: int) -> Spec:
    """The same training from another seed.

    Its teachers stay, so that all students of a comparison have the same; generations in front of
    it are part of the training, and go along, down from the teacher at their head.
    """
    teachers = tuple(
        ref.model_copy(update={"spec": with_seed(ref.spec, seed)})
        if ref.spec and ref.spec.role == "generation"
        else ref
        for ref in spec.teachers
    )
    return spec.model_copy(update={"seed": seed, "teachers": teachers})


def _deciding(record: BaseModel) -> dict[str, Any]:
    """What of it decides weights."""
    return record.model_dump(by_alias=True, exclude=left_out(record, LATER, NO_WEIGHT))
