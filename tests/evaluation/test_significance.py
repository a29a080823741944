"""The student against its baseline: test, interval, power and verdict say one thing."""

import math

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp

from kdcli.evaluation.intervals import Interval, paired_interval
from kdcli.evaluation.significance import (
    Gain,
    detectable_gain,
    exact_p,
    mcnemar,
    paired_gain,
    verdict_code,
)


def right(rng, share, shape):
    return rng.random(shape) < share


def numbers(gain):
    return [gain.gain, gain.ci95.low, gain.ci95.high, gain.p_value, gain.detectable]


def test_mcnemar_by_hand():
    a = np.array([1, 1, 1, 1, 1, 0, 1, 0], dtype=bool)
    b = np.array([0, 0, 0, 0, 0, 1, 1, 0], dtype=bool)  # five to one of six: 2 (1 + 6) / 64
    assert mcnemar(a, b) == pytest.approx(14 / 64)
    assert mcnemar(b, a) == pytest.approx(14 / 64)
    assert mcnemar(a, a) == 1.0


# Student against baseline ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "code"), [(1, "one_seed_even"), (2, "one_seed_even"), (3, "undecided")]
)
def test_identical_predictions(seeds, code):
    same = right(np.random.default_rng(0), 0.9, (seeds, 200))
    gain = paired_gain(same, same)
    assert (gain.gain, gain.p_value, gain.seeds) == (0.0, 1.0, seeds)
    assert gain.ci95.high == -gain.ci95.low == pytest.approx(1 - 0.025 ** (1 / 200))
    assert gain.detectable == paired_gain(same[:1], same[:1]).detectable
    assert verdict_code(gain, margin=0.01) == code


@pytest.mark.parametrize("images", [1, 5])
def test_five_images_could_not_have_shown_anything(images):
    gain = paired_gain(np.ones((1, images), dtype=bool), np.zeros((1, images), dtype=bool))
    assert (gain.gain, gain.p_value) == (1.0, 2 * 0.5**images)
    assert gain.detectable is None
    assert gain.ci95.low <= 0
    assert verdict_code(gain, margin=0.01) == "one_seed_even"


def test_what_36_images_could_have_shown_takes_six_of_them():
    """80% of all draws of 36 images must hold six on which the student alone is right."""
    found = detectable_gain(0.0, 36)
    assert binom.sf(5, 36, found) == pytest.approx(0.8, abs=1e-3)
    assert binom.sf(5, 36, 1 / 36) < 0.001  # what one image more would be


@pytest.mark.parametrize(("images", "discordant"), [(36, 0.3), (100, 0.1), (540, 0.05)])
def test_the_detectable_gain_is_found_in_four_of_five_tests(images, discordant):
    gain, rng = detectable_gain(discordant, images), np.random.default_rng(0)
    apart = max(discordant, gain)
    shares = [(apart + gain) / 2, (apart - gain) / 2, 1 - apart]
    seen = [
        exact_p(one, other) < 0.05 < one - other
        for one, other, _ in rng.multinomial(images, shares, 2000)
    ]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.03)


def test_one_seed_interval_matches_theory():
    # 600 images only the student has, 400 only the baseline has, of 10,000
    student = np.zeros((1, 10_000), dtype=bool)
    baseline = student.copy()
    student[0, :600] = baseline[0, 600:1000] = True
    gain = paired_gain(student, baseline)
    sd = math.sqrt((0.1 - 0.02**2) / 10_000)
    assert gain.gain == 0.02
    assert gain.ci95.low == pytest.approx(0.02 - 1.96 * sd, abs=1e-4)
    assert gain.ci95.high == pytest.approx(0.02 + 1.96 * sd, abs=1e-4)
    assert gain.detectable == pytest.approx(2.8016 * sd, rel=0.03)
    assert gain.p_value == mcnemar(student[0], baseline[0])


def test_seeds_are_a_sample_too():
    # every image moves with its seed: images alone would see no spread at all
    student = np.array([[True] * 100, [True] * 100, [False] * 100])
    gain = paired_gain(student, ~student)
    assert gain.ci95.low < -0.5 < 0.5 < gain.ci95.high
    assert gain.p_value == 1.0
    assert verdict_code(gain, margin=0.01) == "undecided"


def test_seeds_that_agree_are_one_seed():
    rng = np.random.default_rng(2)
    student, baseline = right(rng, 0.8, (1, 60)), right(rng, 0.6, (1, 60))
    one = paired_gain(student, baseline)
    three = paired_gain(np.repeat(student, 3, axis=0), np.repeat(baseline, 3, axis=0))
    assert numbers(three) == pytest.approx(numbers(one))


def test_the_p_value_of_seeds_is_students():
    """Where seeds alone vary, and images are many: a t-test of the seeds' gains; on the safe side,
    as exact tests are."""
    gains = np.array([100, 220, 160])
    student = np.array([np.arange(4000) < gain for gain in gains])
    student = np.array([np.random.default_rng(i).permutation(row) for i, row in enumerate(student)])
    found = paired_gain(student, np.zeros_like(student))
    assert 1 < found.p_value / ttest_1samp(gains, 0).pvalue < 1.6


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_test_interval_and_verdict_agree(seeds):
    rng, codes = np.random.default_rng(seeds), set()
    for _ in range(25):
        shift = rng.choice([-0.4, 0, 0.35])
        student = right(rng, 0.6 + shift, (seeds, 40))
        gain = paired_gain(student, right(rng, 0.6, (seeds, 40)))
        low, high = gain.ci95.low, gain.ci95.high
        assert (gain.p_value < 0.05) == (low > 0 or high < 0)
        assert low <= gain.gain <= high
        code = verdict_code(gain, margin=0.01)
        assert code.endswith(("better", "helped")) == (low > 0)
        assert code.endswith(("worse", "hurt")) == (high < 0)
        codes.add(code)
    assert len(codes) == 3


@pytest.mark.parametrize("images", [6, 20, 36, 100, 540])
def test_wherever_mcnemar_finds_something_zero_is_outside(images):
    for less in range(images // 2):
        for more in range(less, min(images - less, less + 60) + 1):
            if exact_p(more, less) < 0.05:
                assert paired_interval(more / images, less / images, images).low > 0
                break  # the nearest to 0; more of them move it away


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
