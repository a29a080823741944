"""What one role's models do on test, and what they cost, before any comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdcli.core.arrays import Bools, Indices
from kdcli.data.quality.duplicates import seen_among
from kdcli.data.source import Source
from kdcli.data.store import Store
from kdcli.evaluation import metrics, per_class
from kdcli.evaluation.answers import Asked, Logits, ask
from kdcli.evaluation.cost import costs
from kdcli.evaluation.intervals import Interval, effective_images, share_interval
from kdcli.evaluation.learning import learning
from kdcli.models.loading import read_args
from kdcli.report.model import ModelPart, Range, SeedAccuracy
from kdcli.report.schema import DataPart
from kdcli.runs.run import Run


@dataclass(frozen=True, eq=False)
class Measured:
    """A role's answers, one row of (N, K) logits per seed, and what they say on their own."""

    logits: Logits
    """(S, N, K)."""
    part: ModelPart

    def right(self, labels: Indices) -> Bools:
        """(S, N) which images each seed got right."""
        right: Bools = self.logits.argmax(2) == labels
        return right


def measure(files: list[Path], test: Store, device: torch.device) -> Measured:
    """Ask the models of one role, one model.pt per seed, about every test image."""
    return measured([ask(file, test, device) for file in files], test.labels)


def unmeasured(file: Path) -> ModelPart:
    """A teacher whose classes are not the data's: what it is and costs; no answer of its is right
    or wrong."""
    args, _ = read_args(file)
    return ModelPart(name=args.words, **costs(args))


def measured(asked: list[Asked], labels: Indices) -> Measured:
    """The models of one role, one per seed; what they cost is the first one's, built alike."""
    logits, first = np.stack([one.logits for one in asked]), asked[0]
    part = ModelPart(
        name=first.args.words,
        **scores(logits, labels, first.classes, [one.provenance.get("seed") for one in asked]),
        **training([one.file for one in asked]),
        **costs(first.args),
    )
    return Measured(logits, part)


def scores(
    logits: Logits,
    labels: Indices,
    classes: tuple[str, ...],
    seeds: Sequence[int | None] = (0,),
) -> dict[str, Any]:
    """Fields of ModelPart: what (S, N, K) answers say on their own, means over the S seeds."""
    predictions = logits.argmax(2)
    numbered = [i if seed is None else seed for i, seed in enumerate(seeds)]
    return {
        **_accuracy(predictions == labels, numbered),
        **_per_class(predictions, labels, classes),
        "nll": mean(metrics.nll(row, labels) for row in logits),
        "ece": mean(metrics.ece(row, labels) for row in logits),
    }


def data_part(source: Source, test: Store) -> DataPart:
    """What was tested on."""
    counts = np.bincount(test.labels, minlength=len(source.classes)).tolist()
    return DataPart(
        name=source.name,
        is_default=int(source.is_default),
        classes=len(source.classes),
        test_images=len(test),
        imbalance=per_class.imbalance(source.train.labels),
        test_images_by_class=dict(zip(source.classes, counts, strict=True)),
        test_images_seen=seen_among(source.test, (source.train, source.validation)),
    )


def beside(role: Measured, imitated: Measured) -> Measured:
    """How much a role answers like the one that the student imitates."""
    paired = len(imitated.logits) == len(role.logits)  # each seed has its own, or all have one
    agreement, divergence = likeness(role.logits, imitated.logits[slice(None) if paired else 0])
    update = {"agreement": agreement, "kl_to_teacher": divergence}
    return Measured(role.logits, role.part.model_copy(update=update))


def likeness(students: Logits, target: Logits) -> tuple[float, float]:
    """Agreement and KL of (S, N, K) answers with a target's (N, K), or with each seed's own;
    means over seeds."""
    rows = list(zip(students, np.broadcast_to(target, students.shape), strict=True))
    return (
        mean(metrics.agreement(row, wanted) for row, wanted in rows),
        mean(metrics.kl(wanted, row) for row, wanted in rows),
    )


def range_of(interval: Interval) -> Range:
    """An interval as the report holds it."""
    return Range(low=interval.low, high=interval.high)


def mean(values: Iterable[float]) -> float:
    """The plain one, over seeds; NaN of none."""
    return float(np.mean(list(values)))


def _accuracy(right: Bools, seeds: list[int]) -> dict[str, Any]:
    """Accuracy with its interval over images, or over seeds and images together."""
    accuracy, accuracies = int(right.sum()) / right.size, right.mean(1)
    interval = share_interval(accuracy, effective_images(right))
    found = {"accuracy": accuracy, "accuracy_ci95": range_of(interval)}
    if len(seeds) == 1:
        return found
    return found | {
        "accuracy_sd": float(accuracies.std(ddof=1)),
        "seeds": [
            SeedAccuracy(seed=s, accuracy=float(a)) for s, a in zip(seeds, accuracies, strict=True)
        ],
    }


def _per_class(predictions: Indices, labels: Indices, classes: tuple[str, ...]) -> dict[str, Any]:
    """Means over seeds of (S, N) predictions; what counts every class alike, and each class."""
    found = per_class.recalls(predictions == labels, labels)
    least = per_class.worst(found)
    return {
        "balanced_accuracy": mean(one.recall for one in found),
        "macro_f1": mean(per_class.macro_f1(row, labels) for row in predictions),
        "worst_class_recall": least.recall,
        "worst_class": classes[least.label],
        "recall": {classes[one.label]: one.recall for one in found},
        "recall_ci95": {classes[one.label]: range_of(one.ci95) for one in found},
    }


def training(files: list[Path]) -> dict[str, Any]:
    """Mean time and epochs, whether the seeds' mean curve converged, and how it ended; of runs at
    hand."""
    runs = [Run(file.parent) for file in files if file.name == "model.pt"]
    ends = [run.outcome() for run in runs]
    if not ends or not all(ends):
        return {}
    curves = [[line["train_accuracy"] for line in run.lines() if "epoch" in line] for run in runs]
    shared = min(map(len, curves))  # patience ends seeds at different epochs
    curve = [mean(row) for row in zip(*(c[-shared:] for c in curves), strict=True)]
    return {
        "train_seconds": mean(end["seconds"] for end in ends),
        "epochs": round(mean(end["epochs"] for end in ends)),
        "converged": metrics.converged(curve),
        "train_accuracy_rise": metrics.rise(curve),
        **learning(runs),
    }
