"""How a classifier does on each class, which one it knows least, and which one lost most.

N images, S seeds. Labels and predictions are (N,) int, `right` is (S, N) bool: which images the
model of each seed got right. Classes are their numbers; those without an image are left out.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Ints
from kdcli.evaluation.intervals import Z_95, Interval, wilson


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
    """Each class's recall with its Wilson interval, in the order of the classes.

    With several seeds the interval is that of `effective_images`.
    """
    found = []
    for label in np.unique(labels):
        mine = right[:, labels == label]
        recall = int(mine.sum()) / mine.size
        interval = wilson(recall, effective_images(mine))
        found.append(ClassRecall(int(label), mine.shape[1], recall, interval))
    return found


def worst(found: list[ClassRecall]) -> ClassRecall:
    """The lowest recall; of equal ones the first."""
    return min(found, key=lambda one: one.recall)


def effective_images(right: Bools) -> float:
    """Of how many images, seen by one seed, the share of hits is as sure as here; at most n.

    `right` is (S, n) of one class. The variance of the share is that over images plus that over
    seeds (each a sample); p (1 - p) / variance is the size to put into an interval for one sample
    (Korn and Graubard 1998, for clustered surveys). It is n where there is one seed, and where
    all seeds agree. Two or three seeds say little of their own spread: the interval is then on
    the narrow side where seeds differ much.
    """
    seeds, images = len(right), float(right.shape[1])
    share = float(right.mean())
    variance = float(right.mean(axis=0).var()) / images
    if seeds > 1:
        variance += float(right.mean(axis=1).var(ddof=1)) / seeds
    if variance == 0:
        return images
    return min(images, share * (1 - share) / variance)


# Two models ------------------------------------------------------------------------------------


def lost_most(teacher: Bools, student: Bools, labels: Ints) -> ClassLoss | None:
    """The class with the largest drop of recall from teacher to student; None where none lost.

    `teacher` is (N,), `student` (S, N); of equal drops the first class. The interval is
    `paired_drop`'s at 1 - 0.05 / K, K classes having been looked at (Bonferroni): all K intervals
    hold at once with 95%, so that of the one picked does.
    """
    classes = np.unique(labels)
    seeds = len(student)
    drops = []
    for label in classes:
        mine = labels == label
        lost = seeds * int(teacher[mine].sum()) - int(student[:, mine].sum())
        drops.append(lost / (seeds * int(mine.sum())))
    most = int(np.argmax(drops))
    if drops[most] <= 0:
        return None
    mine = labels == classes[most]
    z = NormalDist().inv_cdf(1 - 0.05 / len(classes) / 2)
    interval = paired_drop(teacher[mine], student[:, mine], z)
    return ClassLoss(int(classes[most]), int(mine.sum()), drops[most], interval)


def paired_drop(teacher: Bools, student: Bools, z: float = Z_95) -> Interval:
    """Interval of how much oftener the teacher (n,) is right than the student (S, n).

    Newcombe 1998 (Statistics in Medicine 17:2635), method 10: Wilson's intervals of both shares,
    squared and added, less their correlation on the same images (corrected for continuity). For
    several seeds the student's share is their mean and its interval that of `effective_images`:
    over seeds and images together. Unlike a bootstrap it does not collapse on few images.
    """
    images, effective = teacher.size, effective_images(student)
    p, q = float(teacher.mean()), float(student.mean())
    mine, theirs = wilson(q, effective, z), wilson(p, images, z)
    together = float(np.mean((teacher - p) * (student.mean(axis=0) - q)))
    if together > 0:
        together = max(0.0, together - 1 / (2 * images))
    spread = math.sqrt(p * (1 - p) * q * (1 - q))
    phi = together / spread * math.sqrt(effective / images) if spread else 0.0
    down = _add(p - theirs.low, mine.high - q, phi)
    up = _add(theirs.high - p, q - mine.low, phi)
    return Interval(max(-1.0, p - q - down), min(1.0, p - q + up))


def _add(one: float, other: float, phi: float) -> float:
    """The distance that two make whose errors are correlated by `phi`, as a side of a triangle;
    rounding may take the square below 0."""
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def balanced_gain(
    student: Bools, baseline: Bools, labels: Ints, draws: int = 2000, seed: int = 0
) -> tuple[float, Interval]:
    """Balanced accuracy of the student - that of the baseline trained with the same seed.

    Both are (S, N). The interval is a percentile bootstrap as that of `paired_gain`, over seeds
    and images together, but each class's images are drawn among themselves, since every class
    counts alike; deviations of a class of n are stretched by sqrt(n / (n - 1)), which a bootstrap
    of few lacks (Rao and Wu 1988). A class of one image adds no spread: then it is too narrow.
    """
    if student.shape != baseline.shape or student.shape[1:] != labels.shape or not student.size:
        raise ValueError(f"two equal (S, N) wanted, got {student.shape} and {baseline.shape}")
    seeds = len(student)
    rng = np.random.default_rng(seed)
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    difference = student.astype(np.int64) - baseline.astype(np.int64)
    classes = np.unique(labels)
    gain, replicates = 0.0, np.zeros(draws)
    for label in classes:
        mine = difference[:, labels == label]
        gain += int(mine.sum()) / mine.size
        replicates += _drawn(mine, rows, rng)
    low, high = np.percentile(replicates / len(classes), [2.5, 97.5])
    return gain / len(classes), Interval(float(low), float(high))


def _drawn(difference: Ints, rows: Ints, rng: np.random.Generator) -> Doubles:
    """(draws,) mean differences of one class, (S, n) in {-1, 0, 1}; `rows` (draws, S) of seeds."""
    images = difference.shape[1]
    columns, counts = np.unique(difference, axis=1, return_counts=True)
    sums = rows @ columns
    centre = sums @ counts
    drawn = (sums * rng.multinomial(images, counts / images, size=len(rows))).sum(axis=1)
    stretch = (images / max(1, images - 1)) ** 0.5
    means: Doubles = (centre + stretch * (drawn - centre)) / difference.size
    return means
