"""Before the first step: what each tap has to show, and which stage of whom answers which."""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from kdcli.core.method import Method
from kdcli.models.route import View
from kdcli.models.stage_matching import Correspondence, Pairs, match_stages, milestones
from kdcli.models.stages import StageTable
from kdcli.models.tap import Tap

_OF_STAGES = {"stages", "features", "preactivations"}
"""Fields of Outputs for which a model's stages have to be probed; logits alone need none."""


def correspondences(
    methods: Iterable[Method],
    learners: Mapping[str, Tap],
    teachers: Mapping[str, Tap],
    images: Tensor,
    wanted: Sequence[Sequence[int]] | None = None,
    read: frozenset[str] = frozenset(),
) -> dict[tuple[str, str], Correspondence]:
    """Tell every tap what to show for these methods, tried on `images`; and match each learner's
    stages with everyone else's. `wanted` is the recipe's `match.pairs`, `read` what the scheme
    itself reads of learners; `images` are (B, 3, H, W) RGB in [0, 1], two are enough.

    Keys are (who imitates, who is imitated), by the names of the taps: learners imitate each other
    in both directions, teachers imitate nobody. Each pair is matched on its own, so that teachers
    of different architectures meet a student's stages each in their own way.

    Raises:
        UnmetNeeds: a model cannot show what a method reads.
        UsageError: `wanted` names stages that are not there.
    """
    methods = tuple(methods)
    of_both = frozenset[str]().union(*(method.needs for method in methods))
    of_students = of_both.union(read, *(method.student_needs for method in methods))
    taps = {**learners, **teachers}
    needs = {name: of_students if name in learners else of_both for name in taps}
    tables: dict[str, StageTable] = {}
    pairs: dict[tuple[str, str], Pairs] = {}
    if of_students & _OF_STAGES:  # or of the student alone: ofa, attention_self
        tables = {name: tap.stages for name, tap in taps.items()}
    if of_both & _OF_STAGES:
        pairs = {
            (one, other): match_stages(tables[one], tables[other], wanted)
            for one in learners
            for other in taps
            if one != other
        }
    shown = {name: _shown(name, needs[name], tables, pairs) for name in taps}
    for name, tap in taps.items():  # who is asked for nothing keeps its plain forward pass
        if view := _view(shown[name], needs[name]):
            tap.show(view, images)
    return {
        (one, other): _correspondence(
            teachers.get(other), shown[one], shown[other], pairs, (one, other)
        )
        for one in learners
        for other in taps
        if one != other
    }


def _shown(
    name: str,
    needs: frozenset[str],
    tables: Mapping[str, StageTable],
    pairs: Mapping[tuple[str, str], Pairs],
) -> tuple[int, ...]:
    """Indices of the stages that somebody reads of this model, ascending: one pass shows them to
    everyone, so what two pairs read is shown once."""
    stages = {s for (one, _), found in pairs.items() if one == name for s, _ in found}
    stages |= {t for (_, other), found in pairs.items() if other == name for _, t in found}
    if "stages" in needs:
        stages |= set(milestones(tables[name]))
    return tuple(sorted(stage.index for stage in stages))


def _view(shown: tuple[int, ...], needs: frozenset[str]) -> View | None:
    view = View(shown, "embedding" in needs, "preactivations" in needs, "heads" in needs)
    return None if view == View() else view


def _correspondence(
    teacher: Tap | None,
    mine: tuple[int, ...],
    theirs: tuple[int, ...],
    pairs: Mapping[tuple[str, str], Pairs],
    names: tuple[str, str],
) -> Correspondence:
    """`teacher` is None for one that learns: its layers are no target that stays.

    Stages become places in what the two taps show, since Outputs know no indices.
    """
    found = pairs.get(names, ())
    stages = tuple((mine.index(s.index), theirs.index(t.index)) for s, t in found)
    if teacher is None:
        return Correspondence(stages)
    endings = teacher.route.endings
    return Correspondence(
        stages=stages,
        classifier=teacher.classifier if teacher.route.linear else None,
        # endings are there only where preactivations are asked for
        norms=tuple(endings[theirs.index(t.index)].norm for _, t in found) if endings else (),
    )
