"""Which stage of a student answers which of a teacher, between any two models."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from torch import nn

from kdcli.core.errors import UsageError
from kdcli.core.records import About, Outputs, Pair
from kdcli.models.stages import Stage, StageTable

Pairs = tuple[tuple[Stage, Stage], ...]
"""The student's stage and the teacher's that it answers, in depth order."""


@dataclass(frozen=True, eq=False)
class Correspondence:
    """What one model's stages are to another's, and what a method may need of the teacher."""

    stages: tuple[tuple[int, int], ...]
    """Places in the student's and the teacher's `Outputs.stages`, in depth order."""
    classifier: nn.Module | None = None
    """As About.classifier."""
    norms: tuple[nn.BatchNorm2d | None, ...] = ()
    """As About.norms."""

    def align(self, pair: Pair) -> Pair:
        """The pair with its features filled in: the student's i-th answers the teacher's i-th."""
        assert pair.teacher is not None
        return replace(
            pair,
            student=_featured(pair.student, [mine for mine, _ in self.stages]),
            teacher=_featured(pair.teacher, [theirs for _, theirs in self.stages]),
        )

    def tell(self, about: About) -> About:
        """What the run knows, with what is known of this pair's teacher alone."""
        return replace(about, classifier=self.classifier, norms=self.norms)


def _featured(outputs: Outputs, chosen: Sequence[int]) -> Outputs:
    """With these of its stages as features, and their preactivations, where a method reads such."""
    before = outputs.preactivations
    return replace(
        outputs,
        features=tuple(outputs.stages[i] for i in chosen),
        preactivations=tuple(before[i] for i in chosen) if before else (),
    )


def match_stages(
    student: StageTable, teacher: StageTable, wanted: Sequence[Sequence[int]] | None = None
) -> Pairs:
    """Pairs (student's stage, teacher's stage) in depth order; `wanted` names them by index. The
    same whichever of the two models is the student.

    Between models whose maps shrink: by stride, exact where possible, never a factor of two or
    more apart, as many as possible; where no two are that near, from the deepest backwards. With a
    columnar model: by depth, as OFA-KD has it (arXiv:2310.19444, blocks 2, 4, 10 and 12 of 12).

    Raises:
        UsageError: `wanted` names a stage that is not there, or goes backwards.
    """
    if wanted is not None:
        return _named(student, teacher, wanted)
    if student.columnar and teacher.columnar:
        return _distinct(zip(_quarters(student), _quarters(teacher), strict=True))
    if student.columnar:
        return tuple((s, t) for t, s in match_stages(teacher, student))
    if teacher.columnar:
        stages = student.main[-len(_FRACTIONS) :]
        return _distinct(zip(stages, _blocks(teacher, _FRACTIONS[-len(stages) :]), strict=True))
    return _nearest(student.main, teacher.main) or _from_the_deepest(student.main, teacher.main)


def milestones(table: StageTable) -> tuple[Stage, ...]:
    """At most four stages of one model, for methods that read a student's alone."""
    if not table.columnar:
        return table.main[-len(_FRACTIONS) :]
    return tuple(dict.fromkeys(_blocks(table, _FRACTIONS)))


_FRACTIONS = (1 / 6, 1 / 3, 5 / 6, 1.0)
"""Of a columnar model's depth, for the four stages of another: OFA-KD's blocks of 12."""


def _blocks(table: StageTable, fractions: Sequence[float]) -> list[Stage]:
    """The blocks at these fractions of the depth."""
    depth = len(table.stages)
    return [table.stages[max(round(depth * fraction) - 1, 0)] for fraction in fractions]


def _quarters(table: StageTable) -> list[Stage]:
    """Of two columnar models neither has stages that OFA-KD's fractions were made for."""
    return _blocks(table, (0.25, 0.5, 0.75, 1.0))


def _distinct(pairs: Iterable[tuple[Stage, Stage]]) -> Pairs:
    """A block of a shallow model answers once: for the deepest of those that it stands for."""
    kept: list[tuple[Stage, Stage]] = []
    for pair in pairs:
        if kept and (kept[-1][0] is pair[0] or kept[-1][1] is pair[1]):
            kept.pop()
        kept.append(pair)
    return tuple(kept)


def _nearest(student: tuple[Stage, ...], teacher: tuple[Stage, ...]) -> Pairs:
    """The longest monotone assignment of strides less than a factor of two apart; of several the
    one with the smallest sum of |log2(ratio)|.

    By dynamic programming, as sequences are aligned. Nearest stride by nearest stride would not do:
    two stages may want the same one, or cross. Strides need not be powers of two (Inception's).
    """

    @cache
    def best(i: int, j: int) -> tuple[int, float, Pairs]:
        """Of the first `i` and `j` stages: how many pairs (negated), their distance, the pairs."""
        if not i or not j:
            return 0, 0.0, ()
        options = [best(i - 1, j), best(i, j - 1)]
        mine, theirs = student[i - 1], teacher[j - 1]
        distance = abs(math.log2(mine.stride / theirs.stride))
        if distance < 1:  # 8 with 16 never: one more pair is not worth a map of half the detail
            count, total, pairs = best(i - 1, j - 1)
            options.append((count - 1, total + distance, (*pairs, (mine, theirs))))
        return min(options, key=lambda option: option[:2])

    return best(len(student), len(teacher))[2]


def _from_the_deepest(student: tuple[Stage, ...], teacher: tuple[Stage, ...]) -> Pairs:
    """As many pairs as the shorter has stages: the last of both, nearest to the answers, is one."""
    both = min(len(student), len(teacher))
    return tuple(zip(student[-both:], teacher[-both:], strict=True))


def _named(student: StageTable, teacher: StageTable, wanted: Sequence[Sequence[int]]) -> Pairs:
    pairs = tuple((_find(student, s), _find(teacher, t)) for s, t in wanted)
    if list(pairs) != sorted(pairs, key=lambda pair: (pair[0].index, pair[1].index)):
        raise UsageError(
            f"match.pairs: {[list(pair) for pair in wanted]} is not in depth order",
            "name pairs from the input to the output: [[1, 1], [2, 2]]",
        )
    return pairs


def _find(table: StageTable, index: int) -> Stage:
    for stage in table.stages:
        if stage.index == index:
            return stage
    known = ", ".join(str(stage.index) for stage in table.stages)
    raise UsageError(
        f"match.pairs: {table.model} has no stage {index}",
        f"it has {known}; kd match shows them",
    )
