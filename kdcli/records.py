"""The nouns of one training step, and the three kinds that plug into it.

Shapes: B images in the batch, K classes, H x W pixels. Records compare by identity:
comparing tensors would raise.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


Aggregate = Literal["probabilities", "logits"]
"""Of which the mean is taken: the arithmetic one of probabilities, or that of logits, which is the
geometric one of probabilities."""
MemberWeights = Annotated[tuple[PositiveFloat, ...], Field(strict=False)] | None
"""One per member, in their order; None counts all alike. Only their ratios matter."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What every model sees in one step."""

    images: Tensor
    """(B, 3, H, W) float RGB in [0, 1]; each tap normalises and resizes for its own model."""
    labels: Tensor
    """(B,) int64; -1 where unknown. Of a mixed image that of the larger share."""
    targets: Tensor
    """(B, K) float, rows sum to 1: the labels after smoothing and mixing."""
    index: Tensor
    """(B,) int64: each image's place in its split."""
    view: Tensor
    """(B,) int64: which augmented view of it this is."""
    epoch: float = 0.0
    """Epochs done before this step, fractional."""
    progress: float = 0.0
    """Share of the whole training done before this step, in [0, 1)."""

    def parts(self, n: int) -> Iterator[tuple[float, Batch]]:
        """At most `n` nearly equal parts, each with its share of the whole."""
        if n == 1:
            yield 1.0, self
            return
        whole = len(self.labels)
        for i in range(n):
            rows = slice(i * whole // n, (i + 1) * whole // n)
            if size := rows.stop - rows.start:
                yield size / whole, self._each(operator.itemgetter(rows))

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return replace(
            self,
            images=change(self.images),
            labels=change(self.labels),
            targets=change(self.targets),
            index=change(self.index),
            view=change(self.view),
        )


@dataclass(frozen=True, eq=False)
class Outputs:
    """What one model answered to a batch."""

    by: str
    """Who answered: `student`, `teacher.0`, `student@flip` (a view of the student), ..."""
    logits: Tensor
    """(B, K) float32."""
    stages: tuple[Tensor, ...] = ()
    """(B, C, h, w) maps in depth order, float32."""
    embedding: Tensor | None = None
    """(B, D) pre-logits vector, float32."""
    features: tuple[Tensor, ...] = ()
    """Filled per pair, from the stages: `student.features[i]` answers `teacher.features[i]`."""
    preactivations: tuple[Tensor, ...] = ()
    """The stages (in a pair: its features) in front of the activation that ends each, where one
    does. Only where a method needs them."""
    heads: Tensor | None = None
    """(B, M, K) logits of a student with M heads; `logits` are then theirs as one."""
    attention: tuple[Tensor, ...] = ()
    """(B, h, w) maps in [0.5, 0.74), in depth order: where it looks. Filled by schemes alone."""


@dataclass(frozen=True, eq=False)
class Learner:
    """Who answers the labels, and how loudly."""

    outputs: Outputs
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Pair:
    """Who imitates whom; `teacher` is None for methods that need none."""

    student: Outputs
    teacher: Outputs | None
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """One step's roles; the number and order of pairs never change within a run."""

    learners: tuple[Learner, ...]
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Panel:
    """How several classifiers answer as one: an ensemble, or the heads of one model."""

    weights: tuple[float, ...]
    """One for each, their sum is 1."""
    aggregate: Aggregate = "probabilities"


@dataclass(frozen=True, eq=False)
class About:
    """What is known of the run, and of one pair's teacher, before the first step."""

    num_classes: int
    num_samples: int
    steps_per_epoch: int
    smallest_batch: int = 2
    """Images that pass through the models together; fewer than `train.batch_size` with
    `train.accumulate`."""
    labels: Tensor | None = None
    """(num_samples,) int64 of the training images, by `Batch.index`."""
    adapter: Literal["auto", "none", "conv"] = "auto"
    """`match.adapter`: see `layers.regressor`."""
    classifier: nn.Module | None = None
    """Of a pair's frozen teacher: the last layer, where logits = classifier(embedding); to be
    called, not to be registered."""
    norms: tuple[nn.BatchNorm2d | None, ...] = ()
    """Of a pair's frozen teacher: per feature, the batch norm in front of the ReLU that ends its
    stage; None where a stage ends otherwise."""


class Teacher(Protocol):
    """Anything that turns a Batch into Outputs."""

    def __call__(self, batch: Batch) -> Outputs: ...


OPTIONS = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
    validate_default=True,
)


class Method(BaseModel, ABC):
    """Scores one (student, teacher) pair. Its fields are the recipe's options.

    The first line of its docstring is the paper. A method of one file has a pure function
    `<name>_loss(student, teacher, ...)` of tensors beside it.
    """

    model_config = OPTIONS
    kind: ClassVar[Literal["response", "feature", "relation"]]
    """The knowledge it transfers: answers, what layers see, or how samples or layers relate."""
    needs: ClassVar[frozenset[str]]
    """The fields of Outputs that it reads of student and teacher."""
    student_needs: ClassVar[frozenset[str]] = frozenset()
    """Those that it reads of the student alone, on top."""
    default_weight: ClassVar[float]
    """The published weight beside a task weight of 1."""
    weight_source: ClassVar[str]
    """Where that weight comes from, in words."""
    needs_teacher: ClassVar[bool] = True
    """False for teacher-free methods."""

    def check(self, student: Outputs, teacher: Outputs | None, about: About) -> None:
        """Raise UnmetNeeds, saying why, where the loss is undefined for such a pair."""
        return

    def adapter(self, student: Outputs, teacher: Outputs | None, about: About) -> nn.Module | None:
        """What this method learns for one pair, built once from one example; nothing by default."""
        return None

    @abstractmethod
    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        """One unweighted float32 scalar."""


class Scheme(BaseModel, ABC):
    """Says who is there and who imitates whom. Its fields are the recipe's options.

    `needs_teacher` says whether it can be run without one.
    """

    model_config = OPTIONS
    needs_teacher: ClassVar[bool] = True
    labelled_by_teachers: ClassVar[bool] = False
    """The teachers answer every image once, before the first step, and are then let go; the scheme
    sees their answers as those of `teachers`."""
    teaches_itself: ClassVar[bool] = False
    """Online and self-distillation: a student learns more than the labels without a teacher."""
    has_peers: ClassVar[bool] = False
    """Further models learn beside the student, as `peer.1`, `peer.2`, ...; an option `peers` says
    how many there are, the student among them."""
    has_generations: ClassVar[bool] = False
    """The student is the last of a chain of its own kind, each taught by the one before; an option
    `generations` says how many are taught."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """The fields of Outputs that it reads itself, of everyone who learns."""

    def panel(self, teachers: int) -> Panel:
        """How so many teachers answer as one: what the student imitates, what is compared with it.

        Raises:
            UnmetNeeds: the scheme's weights are for another number of teachers.
        """
        return Panel((1 / teachers,) * teachers)

    def student_args(self, teachers: int) -> dict[str, Any]:
        """Fields of `models.build.ModelArgs` that the student has on top, taught by so many."""
        return {}

    @abstractmethod
    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        """Pure: from everyone's answers to learners and pairs."""

    def parts(self, outputs: Mapping[str, Outputs], about: About) -> dict[str, nn.Module]:
        """Extra trained modules, by name; built once from everyone's answers to one example."""
        return {}

    def step(
        self,
        models: Mapping[str, Teacher],
        parts: Mapping[str, nn.Module],
        batch: Batch,
    ) -> dict[str, Outputs]:
        """Which forwards run; each model once."""
        return {name: model(batch) for name, model in models.items()}

    def ships(
        self, models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
    ) -> dict[str, nn.Module]:
        """What model.pt may hold, by name, of those that learn: the best on validation is taken,
        at its best epoch. Each turns a Batch into Outputs."""
        return {"student": models["student"]}

    def beside(
        self, models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
    ) -> dict[str, nn.Module]:
        """Taps that are kept next to it, as they were after that epoch; by name."""
        return {}
