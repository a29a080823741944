"""What several schemes do alike: panels and lessons of one teacher, of several, of peers."""

from collections.abc import Mapping

from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import Aggregate, Learner, Lesson, Outputs, Pair, Panel


def panel_of(weights: tuple[float, ...] | None, members: int, aggregate: Aggregate) -> Panel:
    """The panel of so many members, with weights as a recipe gives them: any positive numbers.

    Raises:
        UnmetNeeds: there are more or fewer weights than members.
    """
    if weights is None:
        return Panel.even(members, aggregate)
    if len(weights) != members:
        raise UnmetNeeds(
            f"scheme.weights has {len(weights)} for {members} teachers",
            "give one weight per teacher, in their order, or leave scheme.weights out",
        )
    total = sum(weights)
    return Panel(tuple(weight / total for weight in weights), aggregate)


def peers_of(outputs: Mapping[str, Outputs]) -> list[Outputs]:
    """What the student and those that learn beside it answered, the student first."""
    return [
        answer for name, answer in outputs.items() if name == "student" or name.startswith("peer.")
    ]


def of_architecture(models: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The student and the peers that are built alike: any of them can be the student."""
    wanted = getattr(models["student"], "args", None)
    return {name: one for name, one in models.items() if getattr(one, "args", None) == wanted}


def teachers_of(outputs: Mapping[str, Outputs]) -> list[Outputs]:
    """What the teachers answered, in their order."""
    return [answer for name, answer in outputs.items() if name.startswith("teacher.")]


def panel_of_one(scheme: str, teachers: int) -> Panel:
    """The panel of a scheme in which there is one teacher.

    Raises:
        UnmetNeeds: there are more, or none.
    """
    if teachers != 1:
        raise UnmetNeeds(
            f"scheme {scheme} takes one teacher, not {teachers}",
            "scheme: average imitates the mean of several",
        )
    return Panel.even(1)


def lesson_of_one(scheme: str, outputs: Mapping[str, Outputs]) -> Lesson:
    """The student learns from the labels and from its one teacher.

    Raises:
        UnmetNeeds: there are more, or none.
    """
    student, teachers = outputs["student"], teachers_of(outputs)
    panel_of_one(scheme, len(teachers))
    return Lesson(learners=(Learner(student),), pairs=(Pair(student, teachers[0]),))
