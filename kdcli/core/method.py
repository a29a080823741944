"""What a method is: it scores one (student, teacher) pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from kdcli.core.options import Options
from kdcli.core.records import About, Batch, Outputs

if TYPE_CHECKING:
    from torch import Tensor, nn


Knowledge = Literal["response", "feature", "relation"]


class Method(Options, ABC):
    """Scores one (student, teacher) pair. Its fields are the recipe's options.

    The first line of its docstring is the paper. A method of one file has a pure function
    `<name>_loss(student, teacher, ...)` of tensors beside it.
    """

    kind: ClassVar[Knowledge]
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
    """False for teacher-free methods, which are called where nobody teaches, too: `teacher` is then
    the student's own answer, detached."""

    reads_weights: ClassVar[bool] = False
    """It reads layers of a teacher (`About.classifier`, `About.norms`), so that its answers alone
    are not enough."""

    across_images: ClassVar[bool] = False
    """It compares the images of a batch with each other; of several processes each is given the
    answers to the whole batch. The loss of any other is the mean over the images."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        """Raise UnmetNeeds, saying why, where the loss is undefined for such a pair."""
        return

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module | None:
        """What this method learns for one pair, built once from one example; nothing by default.

        It is trained with the student, handed back to `loss`, and never shipped.
        """
        return None

    @abstractmethod
    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        """One unweighted float32 scalar. Called outside autocast, the teacher's side detached."""
