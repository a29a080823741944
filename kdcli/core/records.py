"""The nouns of one training step.

Shapes: B images in the batch, K classes, H x W pixels. Records compare by identity:
comparing tensors would raise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import Field, PositiveFloat

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
    """(B, K) float, rows sum to 1: the labels after smoothing and mixing; 0 where unknown."""
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

    def repeated(self, multiple: int) -> Batch:
        """The next multiple of so many images: the same over again, where they are fewer."""
        n = len(self.labels)
        if n % multiple == 0:
            return self
        rows = [i % n for i in range(-(-n // multiple) * multiple)]
        return self._each(operator.itemgetter(rows))

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
    """(B, K) float32; (B, 0) of a teacher whose classes are not the data's."""
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
    """Of its cross-entropy; those of a lesson are added up, not averaged."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Who imitates whom; `teacher` is None for methods that need none."""

    student: Outputs
    teacher: Outputs | None
    weight: float = 1.0
    """Of what every method says of it; those of a lesson are added up, not averaged."""


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

    @classmethod
    def even(cls, members: int, aggregate: Aggregate = "probabilities") -> Panel:
        """Of so many, all alike."""
        return cls((1 / members,) * members, aggregate)


@dataclass(frozen=True, eq=False)
class About:
    """What is known of the run, and of one pair's teacher, before the first step."""

    num_classes: int
    num_samples: int
    """Training images; `Batch.index` is below it."""
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
