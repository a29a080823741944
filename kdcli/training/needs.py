"""Whether the pairs of a lesson supply what methods need: refused, or skipped aloud."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from kdcli.core.errors import UnmetNeeds
from kdcli.core.method import Method
from kdcli.core.records import Lesson, Outputs, Pair
from kdcli.core.text import some

READ_NO_ANSWERS = (
    "--recipe simreg, or a method that reads embeddings, maps or weights alone (kd list methods); "
    "a model's name or NAME=FILE learns the data's classes with teacher.tune=all"
)
TOLD = 3
"""Skipped pairs that a line names."""


def missing(method: Method, pair: Pair) -> set[str]:
    """Fields of Outputs that the method needs and this pair does not supply; none: it is scored."""
    if pair.teacher is None and method.needs_teacher:
        return {"teacher"}
    sides = [(pair.student, method.needs | method.student_needs)]
    if pair.teacher is not None:
        sides.append((pair.teacher, method.needs))
    return {need for side, needs in sides for need in needs if not _has(side, need)}


def _has(outputs: Outputs, need: str) -> bool:
    value = getattr(outputs, need, None)
    return value.numel() > 0 if isinstance(value, Tensor) else bool(value)


def refuse_or_skip(methods: Mapping[str, Method], lesson: Lesson, scheme: str) -> list[str]:
    """Lines about pairs that a method skips; `methods` by the names of their terms.

    Raises:
        UnmetNeeds: a method can score no pair at all.
    """
    skipped: list[str] = []
    for name, method in methods.items():
        lacks = [missing(method, pair) for pair in lesson.pairs]
        if all(lacks) or not lacks:
            needs = sorted(set().union(*lacks)) if lacks else ["a pair"]
            if "logits" in needs:  # everyone has some, but whose classes are others
                raise UnmetNeeds(
                    f"methods.{name} reads what a teacher answers, and this one has other "
                    "classes than the data",
                    READ_NO_ANSWERS,
                )
            raise UnmetNeeds(
                f"{name} needs {' and '.join(needs)}; scheme {scheme} does not give that here",
                "choose another method or scheme in the recipe; kd list recipes shows what works",
            )
        skipped += _told_skipped(name, lesson.pairs, lacks)
    return skipped


def _told_skipped(term: str, pairs: tuple[Pair, ...], lacks: list[set[str]]) -> Iterator[str]:
    """A line for all pairs that lack the same."""
    named: dict[str, list[str]] = {}
    for pair, lack in zip(pairs, lacks, strict=True):
        sides = [pair.student.by, *([pair.teacher.by] if pair.teacher else ())]
        named.setdefault(", ".join(sorted(lack)), []).append(" with ".join(sides))
    named.pop("", None)
    for lacking, names in named.items():
        yield f"{term} skips {some(names, TOLD)}: no {lacking}; the other pairs count for them, too"
