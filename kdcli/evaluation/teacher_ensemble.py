"""An ensemble of teachers on test: its members one after another, the best of them, their mean."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from kdcli.core.arrays import Indices
from kdcli.core.progress import Progress
from kdcli.core.text import ensemble_name, total
from kdcli.data.store import Store
from kdcli.evaluation import metrics
from kdcli.evaluation.answers import Asked, Logits, ask, together
from kdcli.evaluation.cost import costs
from kdcli.evaluation.measure import Measured, likeness, mean, measured, scores, training
from kdcli.evaluation.participants import Cast, Member
from kdcli.report.model import ModelPart, TeacherPart

Validate = Callable[[Path], float]
"""A model.pt's accuracy on validation."""


@dataclass(frozen=True, eq=False)
class MeasuredEnsemble:
    """An ensemble, the best of its members, and a light record of each."""

    whole: Measured
    single: Measured
    best: int
    """Which member `single` is."""
    members: tuple[TeacherPart, ...]
    agreement: float
    """Of the student with a member, the mean over all."""
    kl: float


def measure_ensemble(
    cast: Cast,
    students: Logits,
    test: Store,
    validate: Validate,
    device: torch.device,
    progress: Progress,
) -> MeasuredEnsemble:
    """Each member is asked once and let go: memory does not grow with their number.

    The best single teacher is the one with the highest validation accuracy, the first of equals:
    the best on test would be flattered by having been picked there. `students` is (S, N, K).
    """
    parts, alike = list[TeacherPart](), list[tuple[float, float]]()
    single: list[tuple[int, Asked]] = []

    def answers() -> Iterator[Logits]:
        for member in progress.track(cast.teachers, len(cast.teachers), "asking the teachers"):
            asked = ask(member.file, test, device)
            before = max((part.validation_accuracy for part in parts), default=-1.0)
            weight = cast.panel.weights[len(parts)]
            parts.append(_record(member, asked, test.labels, validate, weight))
            alike.append(likeness(students, asked.logits))
            if parts[-1].validation_accuracy > before:
                single[:] = [(len(parts) - 1, asked)]
            yield asked.logits

    logits = together(answers(), cast.panel)[None]
    ((best, asked),) = single
    return MeasuredEnsemble(
        whole=Measured(logits, role_of_all(parts, scores(logits, test.labels, asked.classes))),
        single=measured([asked], test.labels),
        best=best,
        members=tuple(parts),
        agreement=mean(one for one, _ in alike),
        kl=mean(one for _, one in alike),
    )


def _record(
    member: Member, asked: Asked, labels: Indices, validate: Validate, weight: float
) -> TeacherPart:
    known = member.validation
    return TeacherPart(
        name=asked.args.name,
        seed=asked.provenance.get("seed"),
        weight=weight,
        validation_accuracy=validate(member.file) if known is None else known,
        accuracy=metrics.accuracy(asked.logits, labels),
        nll=metrics.nll(asked.logits, labels),
        train_seconds=training([member.file]).get("train_seconds"),
        **costs(asked.args),
    )


def role_of_all(
    parts: Sequence[TeacherPart | ModelPart], scored: Mapping[str, object]
) -> ModelPart:
    """An ensemble as a role: it costs what all its members cost together."""
    macs, seconds = [part.macs for part in parts], [part.train_seconds for part in parts]
    return ModelPart.model_validate(
        {
            "name": ensemble_name(part.name for part in parts),
            "params": sum(part.params for part in parts),
            "macs": total(macs),
            "train_seconds": total(seconds),
            **scored,
        }
    )
