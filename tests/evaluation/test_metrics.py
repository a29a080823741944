import math

import numpy as np
import pytest

from kdcli.core.errors import NotFinite
from kdcli.evaluation.metrics import (
    accuracy,
    agreement,
    balanced_accuracy,
    converged,
    ece,
    images_worth,
    kl,
    nll,
)
from kdcli.report.file import distillation_score

LN2 = math.log(2)


def logits_of(*rows):
    """Logits whose softmax is exactly the given rows of probabilities."""
    return np.log(np.array(rows))


# One model -------------------------------------------------------------------------------------


def test_accuracy():
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [0.0, 5.0]])
    assert accuracy(logits, np.array([0, 1, 1, 1])) == 0.75


def test_nll_by_hand():
    logits = logits_of([0.5, 0.5], [0.25, 0.75])
    assert nll(logits, np.array([0, 0])) == pytest.approx((LN2 + 2 * LN2) / 2)


def test_nll_of_huge_logits():
    logits = np.array([[1e4, 0.0], [1e4, 0.0]], dtype=np.float32)
    assert nll(logits, np.array([0, 1])) == pytest.approx(5e3)


def test_certain_and_right_is_a_plain_zero():
    value = nll(np.array([[1e4, 0.0]]), np.array([0]))
    assert value == 0
    assert math.copysign(1, value) == 1


def test_ece_by_hand():
    # ten bins: .95 twice, right once: |.5 - .95| on half; .65 twice, both right: |1 - .65| on half
    logits = logits_of([0.95, 0.05], [0.95, 0.05], [0.65, 0.35], [0.35, 0.65])
    assert ece(logits, np.array([0, 1, 0, 1]), bins=10) == pytest.approx(0.5 * 0.45 + 0.5 * 0.35)


def test_ece_lets_errors_within_a_bin_cancel():
    logits = logits_of([0.6, 0.4], [0.6, 0.4], [0.6, 0.4], [0.6, 0.4], [0.6, 0.4])
    assert ece(logits, np.array([0, 0, 0, 1, 1])) == pytest.approx(0)


def test_ece_keeps_full_confidence_in_the_last_bin():
    assert ece(np.array([[1e4, 0.0]]), np.array([0])) == 0
    assert ece(np.array([[1e4, 0.0]]), np.array([1])) == 1


def test_balanced_accuracy_by_hand():
    labels = np.array([0] * 8 + [1] * 2)
    predictions = np.array([0] * 8 + [1, 0])
    # the class without images does not count
    assert balanced_accuracy(predictions, labels, num_classes=3) == pytest.approx((1 + 0.5) / 2)
    assert images_worth(labels) == pytest.approx(2**2 / (1 / 8 + 1 / 2))


def test_balanced_accuracy_of_even_classes_is_accuracy():
    labels = np.repeat(np.arange(5), 20)
    predictions = np.where(np.arange(100) % 10 == 0, (labels + 1) % 5, labels)
    assert balanced_accuracy(predictions, labels, num_classes=5) == pytest.approx(0.9)
    assert images_worth(labels) == pytest.approx(100)


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([], False),
        ([0.9], False),
        ([0.9, 0.901], True),
        ([0.9, 0.91], False),
        ([0.1] * 3 + [0.9] * 3, True),  # six epochs: a rise since the fourth
        ([0.1] * 4 + [0.9] * 2, False),
        ([0.1] * 3 + [0.9] * 2, True),
        ([0.5, 0.6, 0.7, 0.8, 0.9], False),
        ([*np.linspace(0, 0.9, 16), 0.9, 0.901, 0.902, 0.903], True),
        ([*np.linspace(0, 0.9, 16), 0.902, 0.904, 0.906, 0.908], False),
        ([0.9, 0.8], True),
    ],
)
def test_converged(accuracies, expected):
    assert converged(accuracies) is expected


# Two models ------------------------------------------------------------------------------------


def test_agreement():
    a = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    assert agreement(a, a * 7) == 1.0
    assert agreement(a, a[::-1] * [1, 1]) == 1.0
    assert agreement(a, -a) == 0.0


def test_kl_by_hand_and_its_direction():
    teacher, student = logits_of([0.5, 0.5]), logits_of([0.25, 0.75])
    assert kl(teacher, student) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert kl(student, teacher) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


def test_kl_is_stable():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(50, 10)).astype(np.float32)
    assert 0 <= kl(a, a + 100) < 1e-9
    assert kl(np.array([[1e4, 0.0]]), np.array([[0.0, 1e4]])) == pytest.approx(1e4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_logits_are_refused(bad):
    with pytest.raises(NotFinite):
        nll(np.array([[0.0, bad]]), np.array([0]))


@pytest.mark.parametrize(
    ("size", "accuracy_student", "score"),
    [
        (62.84, 69.12, 0.3326),
        (35.36, 67.04, 0.2097),
        (15.25, 62.87, 0.1382),
        (3.74, 43.11, 0.2183),
    ],
)
def test_distillation_score_of_the_surveys_rows(size, accuracy_student, score):
    assert distillation_score(size, 100, accuracy_student, 71.76) == pytest.approx(score, abs=5e-5)


def test_distillation_score_weighs_and_abstains():
    assert distillation_score(1, 4, 0.8, 0.8, a=1) == 0.25
    assert distillation_score(1, 4, 0.4, 0.8, a=0) == 0.5
    assert distillation_score(1, 4, 0.4, 0.0) is None
