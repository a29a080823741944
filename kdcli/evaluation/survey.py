"""The accounting of a survey, from what students, teachers and baselines answered to the same
images."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from kdcli.core.arrays import Bools
from kdcli.evaluation.contenders import Contender
from kdcli.evaluation.measure import range_of
from kdcli.evaluation.nearness import closer_in_accuracy
from kdcli.evaluation.ranking import Seeds, side_by_side
from kdcli.evaluation.significance import paired_gain, verdict_code
from kdcli.report.file import distillation_score
from kdcli.report.model import ModelPart
from kdcli.report.schema import Report, imitated
from kdcli.report.survey import Account, Nearer, Survey

NEARER: dict[str, Nearer] = {
    "ensemble": "teacher",
    "single": "baseline",
    "undecided": "undecided",
}


@dataclass(frozen=True, eq=False)
class _Taught:
    """A student with a teacher's answers beside its own."""

    one: Contender
    report: Report
    role: str
    """Of the teacher, or of their ensemble."""

    @property
    def teacher(self) -> ModelPart:
        return self.report.models[self.role]

    def right(self, role: str) -> Bools:
        """(S, N)."""
        found: Bools = self.one.beside[role].argmax(2) == self.one.tested.labels
        return found


def surveyed(contenders: Sequence[Contender], size_priority: float | None) -> Survey:
    """Students beside the teachers and baselines of their own reports; `size_priority` is the a of
    the distillation score, None: that of their recipes where they agree, else 0.5."""
    taught = [found for found in map(_taught, contenders) if found]
    priority = size_priority
    if priority is None:
        own = {found.one.settings.size_priority for found in taught}
        priority = own.pop() if len(own) == 1 else 0.5
    accounts = [_account(found, priority) for found in taught]
    scores = [one.distillation_score for one in accounts if one.distillation_score is not None]
    mean = fmean(scores) if scores else None
    kept = {found.one.typed[0] for found in taught}
    return Survey(
        size_priority=priority,
        mean_score=mean,
        accounts=[_judged(one, mean) for one in accounts],
        left_out=[one.typed[0] for one in contenders if one.typed[0] not in kept],
    )


def _taught(one: Contender) -> _Taught | None:
    role = imitated(one.report.models) if one.report else None
    if one.report is None or role is None or role not in one.beside or one.role == "teacher":
        return None
    return _Taught(one, one.report, role)


def _account(found: _Taught, priority: float) -> Account:
    one, part, teacher = found.one, found.one.part, found.teacher
    assert part.accuracy is not None
    of_teacher = float(found.right(found.role).mean())
    comparison = found.report.comparison
    speed = comparison.speedup if comparison else None
    return Account(
        run=one.typed[0],
        teacher=teacher.name,
        params_reduction=1 - part.params / teacher.params,
        macs_reduction=1 - part.macs / teacher.macs if part.macs and teacher.macs else None,
        speedup=speed.onnxruntime if speed else None,
        accuracy=part.accuracy,
        accuracy_sd=part.accuracy_sd,
        accuracy_change=part.accuracy - of_teacher,
        distillation_score=distillation_score(
            part.params, teacher.params, part.accuracy, of_teacher, priority
        ),
        better=None,
        **_beside_baseline(found),
    )


def _beside_baseline(found: _Taught) -> dict[str, Any]:
    if "baseline" not in found.one.beside:
        return dict.fromkeys(("nearer", "gain", "gain_ci95", "p_value", "verdict_code"))
    one, teacher = found.one, found.right(found.role)
    pair = side_by_side(one.for_ranking, Seeds(found.right("baseline"), one.seeds))
    gain = paired_gain(*pair)
    # decided against one teacher, the same for every seed
    alone = all((row == teacher[0]).all() for row in teacher)
    nearer = closer_in_accuracy(pair[0], teacher[0], pair[1]) if alone else "undecided"
    return {
        "nearer": NEARER[nearer],
        "gain": gain.gain,
        "gain_ci95": range_of(gain.ci95),
        "p_value": gain.p_value,
        "verdict_code": verdict_code(gain, one.settings.margin),
    }


def _judged(one: Account, mean: float | None) -> Account:
    score = one.distillation_score
    apart = None if mean is None or score is None else score - mean
    better = None if apart is None or abs(apart) < 1e-9 else int(apart < 0)
    return one.model_copy(update={"better": better})
