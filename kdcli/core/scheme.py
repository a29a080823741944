"""What a scheme is: who is there, and who imitates whom."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kdcli.core.options import Options
from kdcli.core.records import About, Batch, Lesson, Outputs, Panel, Teacher

if TYPE_CHECKING:
    from torch import nn


class Scheme(Options, ABC):
    """Says who is there and who imitates whom. Its fields are the recipe's options.

    `needs_teacher` says whether it can be run without one.
    """

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
        return Panel.even(teachers)

    def student_args(self, teachers: int) -> dict[str, Any]:
        """Fields of `ModelArgs` (models) that the student has on top, taught by so many."""
        return {}

    @abstractmethod
    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        """Pure: from everyone's answers to learners and pairs, as many and in the same order at
        every step. The distiller detaches the teacher's side of each pair."""

    def parts(self, outputs: Mapping[str, Outputs], about: About) -> dict[str, nn.Module]:
        """Extra trained modules, by name; built once from everyone's answers to one example."""
        return {}

    def step(
        self,
        models: Mapping[str, Teacher],
        parts: Mapping[str, nn.Module],
        batch: Batch,
    ) -> dict[str, Outputs]:
        """Which forwards run: everyone's answers, by name. Each model once, unless a scheme says
        otherwise."""
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
