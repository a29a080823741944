"""How good: accuracy, balanced accuracy, NLL, calibration, agreement, KL; of logits, pure."""

from collections.abc import Sequence

import numpy as np

from kdcli.core.arrays import Doubles, Ints, Reals
from kdcli.core.errors import NotFinite

# One model -------------------------------------------------------------------------------------


def accuracy(logits: Reals, labels: Ints) -> float:
    """Share of images whose top-1 class is the label."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def balanced_accuracy(predictions: Ints, labels: Ints, num_classes: int) -> float:
    """Mean recall over the classes that occur among the labels."""
    counts = np.bincount(labels, minlength=num_classes)
    hits = np.bincount(labels[predictions == labels], minlength=num_classes)
    present = counts > 0
    return float(np.mean(hits[present] / counts[present]))


def images_worth(labels: Ints) -> float:
    """On how many images one accuracy varies as much as the mean recall does on these labels.

    k^2 / sum(1 / n_class) of k classes: N where they are even, few where one is rare.
    """
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    return float(len(counts) ** 2 / np.sum(1 / counts))


def nll(logits: Reals, labels: Ints) -> float:
    """Mean negative log-likelihood of the labels, in nats, >= 0."""
    log_p = _log_softmax(logits)
    return float(-np.mean(log_p[np.arange(len(labels)), labels])) + 0.0  # never -0.0


def ece(logits: Reals, labels: Ints, bins: int = 15) -> float:
    """Expected calibration error in [0, 1] (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Top-1 confidences fall into `bins` equal bins, 15 as there, each open below and closed above.
    """
    confidence = np.exp(_log_softmax(logits).max(axis=1))
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    excess = confidence - (logits.argmax(axis=1) == labels)
    return float(np.abs(np.bincount(place, weights=excess)).sum() / len(labels))


def converged(train_accuracies: Sequence[float]) -> bool:
    """Whether training accuracy, one number per epoch, has stopped rising: by less than half a
    point (`rise`). One epoch cannot tell, so it says no."""
    found = rise(train_accuracies)
    return found is not None and found < STILL


STILL = 0.005
"""Half a point: a training accuracy that rises by less at its end has converged."""


def rise(train_accuracies: Sequence[float]) -> float | None:
    """By how much the straight line through the last fifth of the epochs rises over that fifth, as
    single epochs are noisy; None of a single epoch."""
    epochs = len(train_accuracies)
    if epochs < 2:
        return None
    window = -(-epochs // 5)
    slope = np.polyfit(np.arange(window + 1), train_accuracies[-1 - window :], 1)[0]
    return float(slope * window)


# Two models ------------------------------------------------------------------------------------


def agreement(a: Reals, b: Reals) -> float:
    """Share of images to which two models' logits give the same top-1 class."""
    return float(np.mean(a.argmax(axis=1) == b.argmax(axis=1)))


def kl(teacher_logits: Reals, student_logits: Reals) -> float:
    """Mean KL(teacher || student) of the softmax at temperature 1, in nats, >= 0."""
    return max(0.0, float(np.mean(divergences(teacher_logits, student_logits))))  # -1e-17


def divergences(teacher_logits: Reals, student_logits: Reals) -> Doubles:
    """(N,): KL(teacher || student) of each image, in nats."""
    teacher, student = _log_softmax(teacher_logits), _log_softmax(student_logits)
    found: Doubles = np.sum(np.exp(teacher) * (teacher - student), axis=1)
    return found


# Arithmetic ------------------------------------------------------------------------------------


def _log_softmax(logits: Reals) -> Doubles:
    """(N, K) log-probabilities, finite for every finite input."""
    if not np.isfinite(logits).all():
        raise NotFinite("logits are not finite, so they measure nothing")
    shifted = logits.astype(np.float64)  # float32 would lose the small KL of near models
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
