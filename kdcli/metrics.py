"""How good a classifier is, how sure one may be of that, and whether two differ.

N images, K classes, S seeds. Logits are (N, K) float, labels and predictions (N,) int; everything
is computed in float64. Accuracies are fractions in [0, 1], information is in nats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from kdcli.errors import NotFinite

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]

Z_95 = NormalDist().inv_cdf(0.975)
Z_POWER = NormalDist().inv_cdf(0.80)


@dataclass(frozen=True)
class Interval:
    """A confidence interval, 95% where nothing else is said, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class Gain:
    """What `paired_gain` found; all but `p_value` and `seeds` are differences of accuracy."""

    gain: float
    ci95: Interval
    p_value: float
    detectable: float
    """The smallest true gain that this test had an 80% chance to show."""
    seeds: int


# One model -------------------------------------------------------------------------------------


def accuracy(logits: Floats, labels: Ints) -> float:
    """Share of images whose top-1 class is the label."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def accuracy_interval(correct: int, n: int) -> Interval:
    """95% interval of an accuracy of `correct` out of `n` > 0 (Wilson 1927).

    Unlike the textbook normal interval it stays inside [0, 1] and does not collapse at 0 and 1.
    """
    return wilson(correct / n, n)


def wilson(share: float, n: float, z: float = Z_95) -> Interval:
    """Wilson's interval of a share seen on `n` > 0 images; `n` need not be whole.

    `z` is the normal quantile of its confidence.
    """
    centre = share + z**2 / (2 * n)
    reach = z * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    scale = 1 + z**2 / n
    low, high = (centre - reach) / scale, (centre + reach) / scale
    return Interval(max(0.0, min(low, share)), min(1.0, max(high, share)))  # rounding at 0 and 1


def balanced_accuracy(predictions: Ints, labels: Ints, num_classes: int) -> tuple[float, Interval]:
    """Mean recall over the classes that occur among the labels, and its 95% interval.

    A mean of k recalls varies like one accuracy on k^2 / sum(1 / n_class) images, so that number
    goes into the Wilson interval: it is N where classes are even, and small where one is rare.
    """
    counts = np.bincount(labels, minlength=num_classes)
    hits = np.bincount(labels[predictions == labels], minlength=num_classes)
    present = counts > 0
    recall = float(np.mean(hits[present] / counts[present]))
    effective = float(present.sum() ** 2 / np.sum(1 / counts[present]))
    return recall, wilson(recall, effective)


def accuracy_if_renamed(predictions: Ints, labels: Ints, num_classes: int) -> float:
    """Accuracy under the renaming of the predicted classes, one to one, that suits them best.

    Far above the accuracy itself, it means that the classes stand in another order.
    """
    from scipy.optimize import linear_sum_assignment

    met = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(met, (predictions, labels), 1)
    return float(met[linear_sum_assignment(met, maximize=True)].sum() / len(labels))


def too_weak(balanced: Interval, num_classes: int) -> bool:
    """Whether a balanced accuracy may be no better than chance and a twentieth of what is left."""
    chance = 1 / num_classes
    return balanced.low <= chance + 0.05 * (1 - chance)


def nll(logits: Floats, labels: Ints) -> float:
    """Mean negative log-likelihood of the labels, in nats, >= 0."""
    log_p = _log_softmax(logits)
    return float(-np.mean(log_p[np.arange(len(labels)), labels])) + 0.0  # never -0.0


def ece(logits: Floats, labels: Ints, bins: int = 15) -> float:
    """Expected calibration error in [0, 1] (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Top-1 confidences fall into `bins` equal bins, each open below and closed above.
    """
    confidence = np.exp(_log_softmax(logits).max(axis=1))
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    excess = confidence - (logits.argmax(axis=1) == labels)
    return float(np.abs(np.bincount(place, weights=excess)).sum() / len(labels))


def converged(train_accuracies: Sequence[float]) -> bool:
    """Whether training accuracy, one number per epoch, has stopped rising.

    That is: the straight line through the last fifth of the epochs rises by less than half a
    point over that fifth; single epochs are noisy. One epoch cannot tell, so it says no.
    """
    epochs = len(train_accuracies)
    if epochs < 2:
        return False
    window = -(-epochs // 5)
    slope = np.polyfit(np.arange(window + 1), train_accuracies[-1 - window :], 1)[0]
    return bool(slope * window < 0.005)


# Two models ------------------------------------------------------------------------------------


def agreement(a: Floats, b: Floats) -> float:
    """Share of images to which two models' logits give the same top-1 class."""
    return float(np.mean(a.argmax(axis=1) == b.argmax(axis=1)))


def kl(teacher_logits: Floats, student_logits: Floats) -> float:
    """Mean KL(teacher || student) of the softmax at temperature 1, in nats, >= 0."""
    return max(0.0, float(np.mean(divergences(teacher_logits, student_logits))))  # -1e-17


def divergences(teacher_logits: Floats, student_logits: Floats) -> NDArray[np.float64]:
    """(N,): KL(teacher || student) of each image, in nats."""
    teacher, student = _log_softmax(teacher_logits), _log_softmax(student_logits)
    found: NDArray[np.float64] = np.sum(np.exp(teacher) * (teacher - student), axis=1)
    return found


def mcnemar(a: Bools, b: Bools) -> float:
    """Exact two-sided p (McNemar 1947) that two models are right equally often; 1 if nowhere apart.

    `a` and `b`, each (N,), say which images each model got right.
    """
    from scipy.stats import binomtest

    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b).pvalue)


def distillation_score(
    size_student: float,
    size_teacher: float,
    acc_student: float,
    acc_teacher: float,
    a: float = 0.5,
) -> float | None:
    """a * size_s / size_t + (1 - a) * (1 - acc_s / acc_t), lower is better (Alkhulaifi 2021).

    Sizes are parameter counts, `a` in [0, 1] says how much size matters. Negative where a small
    student beats its teacher; None where the teacher gets nothing right.
    """
    if acc_teacher == 0:
        return None
    return a * (size_student / size_teacher) + (1 - a) * (1 - acc_student / acc_teacher)


# Student against baseline ----------------------------------------------------------------------


def paired_gain(student: Bools, baseline: Bools, draws: int = 2000, seed: int = 0) -> Gain:
    """How much oftener the student is right than the baseline trained with the same seed.

    Both are (S, N): which of the N test images the model of each seed got right. The interval is
    a percentile bootstrap over seeds and images together (images alone where S = 1), seeded by
    `seed`. The p-value is McNemar's where S = 1, else read off the bootstrap and so never below
    2 / (draws + 1).
    """
    if student.shape != baseline.shape or student.ndim != 2 or student.size == 0:
        raise ValueError(f"two equal (S, N) wanted, got {student.shape} and {baseline.shape}")
    seeds, images = student.shape
    difference = student.astype(np.int64) - baseline.astype(np.int64)
    replicates = _bootstrap(difference, draws, np.random.default_rng(seed))
    low, high = np.percentile(replicates, [2.5, 97.5])
    return Gain(
        gain=int(difference.sum()) / difference.size,
        ci95=Interval(float(low), float(high)),
        p_value=mcnemar(student[0], baseline[0]) if seeds == 1 else _bootstrap_p(replicates),
        detectable=max((Z_95 + Z_POWER) * float(replicates.std()), 1 / images),
        seeds=seeds,
    )


def verdict_code(gain: Gain, margin: float) -> str:
    """What may be said: of two files from one or two seeds, of distillation from three on.

    one_seed_better | one_seed_worse | one_seed_even, or helped | hurt | equal (the interval lies
    within `margin` of 0) | undecided.
    """
    low, high = gain.ci95.low, gain.ci95.high
    if gain.seeds < 3:
        if gain.p_value >= 0.05:  # few discordant images: the interval alone is too sure
            return "one_seed_even"
        return "one_seed_better" if low > 0 else "one_seed_worse" if high < 0 else "one_seed_even"
    if low > 0 or high < 0:
        return "helped" if low > 0 else "hurt"
    return "equal" if -margin <= low and high <= margin else "undecided"


# Arithmetic ------------------------------------------------------------------------------------


def _log_softmax(logits: Floats) -> NDArray[np.float64]:
    """(N, K) log-probabilities, finite for every finite input."""
    if not np.isfinite(logits).all():
        raise NotFinite("logits are not finite, so they measure nothing")
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _bootstrap(
    difference: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(draws,) mean differences of (S, N) in {-1, 0, 1}, rows and columns drawn with replacement.

    Equal columns are interchangeable, so what is drawn is how often each distinct column comes:
    at most 3^S numbers instead of N. Sums are of integers, so that no gain is exactly 0.
    """
    seeds, images = difference.shape
    columns, counts = np.unique(difference, axis=1, return_counts=True)
    totals = np.empty(draws, dtype=np.int64)
    for draw in range(draws):
        rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds))
        totals[draw] = rows @ columns @ rng.multinomial(images, counts / images)
    return totals / difference.size


def _bootstrap_p(replicates: NDArray[np.float64]) -> float:
    """Two-sided p of "no gain", in [2 / (draws + 1), 1]."""
    tail = min(np.sum(replicates <= 0), np.sum(replicates >= 0))
    return min(1.0, 2 * (1 + int(tail)) / (1 + len(replicates)))
