"""The student against its baseline and against what it imitates, from their answers on test."""

from typing import Any

import numpy as np

from kdcli.core.arrays import Bools, Indices
from kdcli.evaluation import metrics, nearness, per_class, significance
from kdcli.evaluation.measure import Measured, likeness, range_of
from kdcli.evaluation.teacher_ensemble import MeasuredEnsemble
from kdcli.recipe.schema import Evaluate
from kdcli.report.comparison import (
    ClassLostMost,
    CloserTo,
    Comparison,
    EnsembleComparison,
    SelfTraining,
)
from kdcli.report.model import Range
from kdcli.report.schema import imitated


def compare(
    measured: dict[str, Measured],
    ensemble: MeasuredEnsemble | None,
    labels: Indices,
    classes: tuple[str, ...],
    settings: Evaluate,
) -> Comparison:
    """The student against baseline (paired, image by image and seed by seed) and any teacher.

    Of several teachers it is compared with their ensemble, and with the best of them on its own.
    What compares costs is left to whoever writes the record.
    """
    student, baseline = (measured[role].right(labels) for role in ("student", "baseline"))
    gain = significance.paired_gain(student, baseline)
    balanced, interval = per_class.balanced_gain(student, baseline, labels)
    found = Comparison(
        gain=gain.gain,
        gain_ci95=range_of(gain.ci95),
        p_value=gain.p_value,
        detectable_gain=gain.detectable,
        seeds=gain.seeds,
        verdict_code=significance.verdict_code(gain, settings.margin),
        balanced_gain=balanced,
        balanced_gain_ci95=range_of(interval),
        ensemble=compare_ensemble(measured["student"], ensemble, labels) if ensemble else None,
    )
    if alone := measured.get("self_training"):
        found = found.model_copy(
            update={"self_training": _over_self_training(student, alone.right(labels), settings)}
        )
    if above := imitated(measured):
        teacher = measured[above].right(labels)
        against = _against(student, baseline, teacher, labels, classes)
        against["agreement"] = measured["student"].part.agreement
        found = found.model_copy(update=against | {"size_priority": settings.size_priority})
    return found


def _over_self_training(student: Bools, alone: Bools, settings: Evaluate) -> SelfTraining:
    found = significance.paired_gain(student, alone)
    return SelfTraining(
        gain=found.gain,
        gain_ci95=range_of(found.ci95),
        p_value=found.p_value,
        verdict_code=significance.verdict_code(found, settings.margin),
    )


def _against(
    student: Bools, baseline: Bools, teacher: Bools, labels: Indices, classes: tuple[str, ...]
) -> dict[str, Any]:
    """The student against a teacher, and the class that lost most.

    Of teachers that learnt along, one per seed, the first is asked about classes.
    """
    right = float(teacher.mean())
    ahead = right - float(baseline.mean())
    gain = float(student.mean() - baseline.mean())
    own = student if len(teacher) == 1 else student[:1]
    lost = per_class.lost_most(teacher[0], own, labels)
    return {
        "gap_closed": gain / ahead if ahead > 0 else None,
        "accuracy_drop": right - float(student.mean()),
        "class_lost_most": lost and _class_lost(lost, classes),
    }


def _class_lost(lost: per_class.ClassLoss, classes: tuple[str, ...]) -> ClassLostMost:
    return ClassLostMost(
        name=classes[lost.label],
        drop=lost.drop,
        ci95=range_of(lost.ci95),
        test_images=lost.images,
    )


def compare_ensemble(
    student: Measured, found: MeasuredEnsemble, labels: Indices
) -> EnsembleComparison:
    """What the ensemble adds to its best member, and what of it the student has kept."""
    mine, whole, single = (m.right(labels) for m in (student, found.whole, found.single))
    gain, to_ensemble, to_single = _ahead(whole, single), _ahead(mine, whole), _ahead(mine, single)
    with_ensemble = likeness(student.logits, found.whole.logits[0])
    with_single = likeness(student.logits, found.single.logits[0])
    return EnsembleComparison(
        members=len(found.members),
        best=found.best,
        gain_over_single=gain[0],
        gain_over_single_ci95=gain[1],
        gap_kept=nearness.gap_kept(*(float(r.mean()) for r in (mine, single, whole))),
        gap_to_ensemble=to_ensemble[0],
        gap_to_ensemble_ci95=to_ensemble[1],
        gap_to_single=to_single[0],
        gap_to_single_ci95=to_single[1],
        agreement_with_ensemble=with_ensemble[0],
        agreement_with_single=with_single[0],
        agreement_with_members=found.agreement,
        kl_to_ensemble=with_ensemble[1],
        kl_to_single=with_single[1],
        kl_to_members=found.kl,
        closer_to=_closer_to(student, found, labels),
    )


def _ahead(one: Bools, other: Bools) -> tuple[float, Range]:
    """How much oftener one is right than the other (1, N), and the paired interval of it."""
    found = significance.paired_gain(one, np.broadcast_to(other, one.shape))
    return found.gain, range_of(found.ci95)


def _closer_to(student: Measured, found: MeasuredEnsemble, labels: Indices) -> CloserTo:
    whole, single = found.whole.logits[0], found.single.logits[0]
    answers = student.logits.argmax(2)
    apart = [answers != other.argmax(1) for other in (whole, single)]
    divergences = [
        np.stack([metrics.divergences(other, row) for row in student.logits])
        for other in (whole, single)
    ]
    rights = (found.whole.right(labels)[0], found.single.right(labels)[0])
    return CloserTo(
        accuracy=nearness.closer_in_accuracy(student.right(labels), *rights),
        agreement=nearness.closer_in_agreement(*apart),
        kl=nearness.closer_in_answers(*divergences),
    )
