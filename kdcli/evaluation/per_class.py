"""How a classifier does on each class, which one it knows least, and which one lost most.

N images, S seeds. Labels and predictions are (N,) int, `right` is (S, N) bool: which images the
model of each seed got right. Classes are their numbers; those without an image are left out.
"""

import math
from dataclasses import dataclass

import numpy as np

from kdcli.core.arrays import Bools, Ints
from kdcli.evaluation.intervals import (
    Interval,
    effective_images,
    images_alone,
    paired_interval,
    share_interval,
    student_quantile,
)
from kdcli.evaluation.significance import discordant


@dataclass(frozen=True)
class ClassRecall:
    """The share of one class's images that are recognised, the mean over seeds."""

    label: int
    images: int
    recall: float
    ci95: Interval


@dataclass(frozen=True)
class ClassLoss:
    """The class on which a student falls farthest behind its teacher."""

    label: int
    images: int
    drop: float
    """Recall of the teacher - recall of the student, > 0."""
    ci95: Interval
    """Of the drop, and holding although the worst of all classes was picked."""


# One model -------------------------------------------------------------------------------------


def imbalance(labels: Ints) -> float:
    """Largest : smallest class among those that occur, >= 1."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.max() / counts.min())


def macro_f1(predictions: Ints, labels: Ints) -> float:
    """Mean F1 over the classes that occur among the labels or the predictions.

    As scikit-learn's f1_score(average="macro"): a class that is never met or never recognised
    counts as 0.
    """
    answered, true = np.bincount(predictions), np.bincount(labels)
    hits = np.bincount(labels[predictions == labels])
    size = max(len(answered), len(true))
    both = np.pad(answered, (0, size - len(answered))) + np.pad(true, (0, size - len(true)))
    f1 = 2 * np.pad(hits, (0, size - len(hits))) / np.maximum(both, 1)
    return float(f1[both > 0].mean())


def recalls(right: Bools, labels: Ints) -> list[ClassRecall]:
    """Each class's recall with its 95% interval over images (and seeds), in the order of the
    classes."""
    found = []
    for label in np.unique(labels):
        mine = right[:, labels == label]
        recall = int(mine.sum()) / mine.size
        interval = share_interval(recall, effective_images(mine))
        found.append(ClassRecall(int(label), mine.shape[1], recall, interval))
    return found


def worst(found: list[ClassRecall]) -> ClassRecall:
    """The lowest recall; of equal ones the first."""
    return min(found, key=lambda one: one.recall)


# Two models ------------------------------------------------------------------------------------


def lost_most(teacher: Bools, student: Bools, labels: Ints) -> ClassLoss | None:
    """The class with the largest drop of recall from teacher to student; None where none lost.

    `teacher` is (N,), `student` (S, N); of equal drops the first class.
    """
    return next(iter(losses(np.broadcast_to(teacher, student.shape), student, labels)), None)


def losses(before: Bools, now: Bools, labels: Ints) -> list[ClassLoss]:
    """The classes whose recall fell, the farthest first.

    Both are (S, N). Intervals are `paired_interval`'s at 1 - 0.05 / K, K classes having been looked
    at (Bonferroni): all K hold at once with 95%, so those of any that are picked do.
    """
    difference = before.astype(np.int64) - now
    classes = np.unique(labels)
    confidence = 1 - 0.05 / len(classes)
    found = []
    for label in classes:
        mine = difference[:, labels == label]
        if (lost := int(mine.sum())) > 0:
            images = effective_images(mine, confidence)
            interval = paired_interval(*discordant(mine), images, confidence)
            found.append(ClassLoss(int(label), mine.shape[1], lost / mine.size, interval))
    return sorted(found, key=lambda one: -one.drop)


def balanced_gain(student: Bools, baseline: Bools, labels: Ints) -> tuple[float, Interval]:
    """Balanced accuracy of the student - that of the baseline trained with the same seed, and its
    95% interval.

    Both are (S, N). The distances of each class's mean from the ends of its `paired_interval` are
    squared and added, as for any sum (Zou and Donner 2008, Statistics in Medicine 27:1693), and to
    them that of the seeds, which all classes share (Student's t). So a class of few images leaves
    much open, even where nothing differs on them.
    """
    if student.shape != baseline.shape or student.shape[1:] != labels.shape or not student.size:
        raise ValueError(f"two equal (S, N) wanted, got {student.shape} and {baseline.shape}")
    difference = student.astype(np.int64) - baseline.astype(np.int64)
    parts = [difference[:, labels == label] for label in np.unique(labels)]
    gains = np.mean([part.mean(axis=1) for part in parts], axis=0)
    gain, seeds, down, up = float(gains.mean()), len(gains), 0.0, 0.0
    for part in parts:
        ends = paired_interval(*discordant(part), images_alone(part))
        down += ((float(part.mean()) - ends.low) / len(parts)) ** 2
        up += ((ends.high - float(part.mean())) / len(parts)) ** 2
    if seeds > 1:
        of_seeds = student_quantile(0.95, seeds - 1) ** 2 * float(gains.var(ddof=1)) / seeds
        down, up = down + of_seeds, up + of_seeds
    return gain, Interval(max(-1.0, gain - math.sqrt(down)), min(1.0, gain + math.sqrt(up)))
