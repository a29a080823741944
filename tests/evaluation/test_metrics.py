import math

import numpy as np
import pytest

from kdcli.core.errors import NotFinite
from kdcli.evaluation.intervals import Interval, accuracy_interval
from kdcli.evaluation.metrics import (
    accuracy,
    agreement,
    balanced_accuracy,
    converged,
    ece,
    kl,
    nll,
    too_weak,
)
from kdcli.evaluation.significance import Gain, mcnemar, paired_gain, verdict_code
from kdcli.report.file import distillation_score

LN2 = math.log(2)


def logits_of(*rows):
    """Logits whose softmax is exactly the given rows of probabilities."""
    return np.log(np.array(rows))


def right(rng, share, shape):
    return rng.random(shape) < share


def numbers(gain):
    return [gain.gain, gain.ci95.low, gain.ci95.high, gain.p_value, gain.detectable]


# One model -------------------------------------------------------------------------------------


def test_accuracy():
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [0.0, 5.0]])
    assert accuracy(logits, np.array([0, 1, 1, 1])) == 0.75


def test_accuracy_interval_is_wilsons():
    interval = accuracy_interval(9, 10)
    assert (interval.low, interval.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert accuracy_interval(0, 10).low == pytest.approx(0, abs=1e-12)
    assert accuracy_interval(10, 10).high == 1.0
    assert all(accuracy_interval(n, n).high == 1.0 for n in range(1, 99))
    assert accuracy_interval(10, 10).low == pytest.approx(1 / (1 + 1.959964**2 / 10))


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
    recall, interval = balanced_accuracy(predictions, labels, num_classes=3)
    assert recall == pytest.approx((1 + 0.5) / 2)  # the class without images does not count
    even = accuracy_interval(48, 64)  # .75 on 2^2 / (1/8 + 1/2) = 6.4 images, ten times as many
    assert interval.low < even.low < recall < even.high < interval.high


def test_balanced_accuracy_of_even_classes_is_accuracy():
    labels = np.repeat(np.arange(5), 20)
    predictions = np.where(np.arange(100) % 10 == 0, (labels + 1) % 5, labels)
    recall, interval = balanced_accuracy(predictions, labels, num_classes=5)
    plain = accuracy_interval(90, 100)
    assert (recall, interval.low, interval.high) == pytest.approx((0.9, plain.low, plain.high))


def test_too_weak():
    assert too_weak(Interval(0.145, 0.3), num_classes=10)  # .1 + .05 * .9
    assert not too_weak(Interval(0.146, 0.3), num_classes=10)
    assert too_weak(Interval(0.51, 0.6), num_classes=2)


def test_always_answering_the_largest_class_is_too_weak():
    labels = np.array([0] * 950 + [1] * 50)
    _, interval = balanced_accuracy(np.zeros(1000, dtype=int), labels, num_classes=2)
    assert too_weak(interval, num_classes=2)


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


def test_mcnemar_by_hand():
    a = np.array([1, 1, 1, 1, 1, 0, 1, 0], dtype=bool)
    b = np.array([0, 0, 0, 0, 0, 1, 1, 0], dtype=bool)  # five to one of six: 2 (1 + 6) / 64
    assert mcnemar(a, b) == pytest.approx(14 / 64)
    assert mcnemar(b, a) == pytest.approx(14 / 64)
    assert mcnemar(a, a) == 1.0


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


# Student against baseline ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "code"), [(1, "one_seed_even"), (2, "one_seed_even"), (3, "equal")]
)
def test_identical_predictions(seeds, code):
    same = right(np.random.default_rng(0), 0.9, (seeds, 200))
    gain = paired_gain(same, same)
    assert gain == Gain(0.0, Interval(0.0, 0.0), 1.0, 1 / 200, seeds)
    assert verdict_code(gain, margin=0.01) == code


def test_one_image():
    gain = paired_gain(np.array([[True]]), np.array([[False]]))
    assert np.isfinite(numbers(gain)).all()
    assert gain.detectable == 1.0


@pytest.mark.parametrize("seeds", [1, 3])
def test_bootstrap_is_deterministic(seeds):
    rng = np.random.default_rng(1)
    student, baseline = right(rng, 0.92, (seeds, 300)), right(rng, 0.9, (seeds, 300))
    assert paired_gain(student, baseline, seed=5) == paired_gain(student, baseline, seed=5)
    assert (
        paired_gain(student, baseline, seed=5).ci95 != paired_gain(student, baseline, seed=6).ci95
    )


def test_one_seed_interval_matches_theory():
    # 60 images only the student has, 40 only the baseline has, of 1000: sd of the mean difference
    student = np.zeros((1, 1000), dtype=bool)
    baseline = student.copy()
    student[0, :60] = baseline[0, 60:100] = True
    gain = paired_gain(student, baseline, draws=20_000)
    sd = math.sqrt((0.1 - 0.02**2) / 1000)
    assert gain.gain == 0.02
    assert gain.ci95.low == pytest.approx(0.02 - 1.96 * sd, abs=1e-3)
    assert gain.ci95.high == pytest.approx(0.02 + 1.96 * sd, abs=1e-3)
    assert gain.detectable == pytest.approx(2.8016 * sd, rel=0.03)
    assert gain.p_value == mcnemar(student[0], baseline[0])


def test_bootstrap_resamples_seeds_too():
    # every image moves with its seed: images alone would see no spread at all
    student = np.array([[True] * 100, [True] * 100, [False] * 100])
    gain = paired_gain(student, ~student)
    assert (gain.ci95.low, gain.ci95.high) == (-1.0, 1.0)
    assert verdict_code(gain, margin=0.01) == "undecided"


def test_draws_of_grouped_columns_spread_as_draws_of_images_do():
    rng = np.random.default_rng(2)
    student, baseline = right(rng, 0.8, (3, 60)), right(rng, 0.7, (3, 60))
    difference = student.astype(int) - baseline
    plain = [
        difference[rng.integers(0, 3, 3)][:, rng.integers(0, 60, 60)].mean() for _ in range(8000)
    ]
    gain = paired_gain(student, baseline, draws=8000)
    assert gain.ci95.low == pytest.approx(np.percentile(plain, 2.5), abs=0.012)
    assert gain.ci95.high == pytest.approx(np.percentile(plain, 97.5), abs=0.012)


@pytest.mark.parametrize(("seeds", "codes"), [(1, ("better", "worse")), (3, ("helped", "hurt"))])
def test_planted_gains_are_recognised(seeds, codes):
    rng = np.random.default_rng(3)
    baseline = right(rng, 0.85, (seeds, 1000))
    student = baseline | right(rng, 0.3, (seeds, 1000))
    for gain, code in zip(
        (paired_gain(student, baseline), paired_gain(baseline, student)), codes, strict=True
    ):
        assert verdict_code(gain, margin=0.01).endswith(code)
        assert gain.p_value < 0.01
        assert gain.detectable < abs(gain.gain)


def test_large_test_set_is_quick_and_small():
    rng = np.random.default_rng(4)
    gain = paired_gain(right(rng, 0.9, (5, 10_000)), right(rng, 0.9, (5, 10_000)))
    assert np.isfinite(numbers(gain)).all()
    assert gain.ci95.low < 0 < gain.ci95.high


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (5,)])
def test_nothing_to_compare_is_refused(shape):
    with pytest.raises(ValueError, match="wanted"):
        paired_gain(np.ones(shape, dtype=bool), np.ones(shape, dtype=bool))


@pytest.mark.parametrize(
    ("seeds", "low", "high", "code"),
    [
        (1, 0.001, 0.03, "one_seed_better"),
        (2, -0.03, -0.001, "one_seed_worse"),
        (1, 0.0, 0.03, "one_seed_even"),
        (3, 0.001, 0.002, "helped"),
        (3, -0.03, -0.001, "hurt"),
        (3, -0.01, 0.01, "equal"),
        (3, -0.01, 0.011, "undecided"),
        (3, 0.0, 0.03, "undecided"),
    ],
)
def test_verdict_codes(seeds, low, high, code):
    gain = Gain((low + high) / 2, Interval(low, high), 0.01, 0.01, seeds)
    assert verdict_code(gain, margin=0.01) == code


def test_a_few_discordant_images_are_no_better_student():
    gain = Gain(0.005, Interval(0.001, 0.01), 0.125, 0.01, 1)
    assert verdict_code(gain, margin=0.01) == "one_seed_even"
