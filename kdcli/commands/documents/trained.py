"""`kd train`, `kd distill`, and their plans."""

from typing import Any, Literal

from kdcli.commands.documents.base import Document
from kdcli.plan.estimate import Estimate
from kdcli.plan.foreseen import Shorter
from kdcli.plan.trials import Trial
from kdcli.report.model import Part, Range
from kdcli.runs.terms import TermPart
from kdcli.training.loop import Ended


class LeadPart(Part):
    """A teacher over the student's baseline, on validation."""

    teacher: str
    teacher_accuracy: float
    baseline_accuracy: float
    lead: float
    lead_ci95: Range
    validation_images: int


class TrainedData(Part):
    """`is_default`: 1 where nobody gave --data."""

    name: str
    is_default: int


class TrainedPart(Part):
    """One finished training; of a student with its terms."""

    run: str
    model: str
    reused: bool
    name: str
    data: TrainedData
    training: Ended
    others: dict[str, Any]
    """Models beside the one that ships."""
    terms: list[TermPart] = []


class TrainedDocument(TrainedPart, Document):
    """One seed."""

    leads: list[LeadPart] = []


class SeveralTrained(Document):
    """Several."""

    runs: list[TrainedPart]
    leads: list[LeadPart] = []


class StoredDocument(Document):
    """`--only answers`: the folders under runs/answers/, and how many views of each image they hold
    by now."""

    stores: list[str]
    views: int
    images: int


class ForecastPart(Part):
    """Seconds and bytes."""

    now: list[Estimate]
    later: list[Estimate]
    seconds: float
    finishes: str
    disk_bytes: int
    free_disk_bytes: int
    memory_bytes: int
    shorter: list[Shorter]


class PrognosisPart(Part):
    """Will a teacher pay? Accuracies and gains in [0, 1]."""

    teacher: float | None
    alone: float | None
    labels_per_class: float
    further: int
    labelled: int
    validation_images: int
    test_images: int
    other_classes: bool
    converged: bool
    lead: float | None
    smallest_gain: float | None
    expected_gain: float | None
    pays: Literal["yes", "no", "open"]
    reason: str
    trials: list[Trial] = []
    next: str | None = None


class Planned(Document):
    """`--dry-run`."""

    plan: ForecastPart
    prognosis: PrognosisPart | None = None
