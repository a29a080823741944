"""Temperature: exact values, and what must hold for any logits."""

import math

import numpy as np
import pytest

from kdcli.core.errors import NotFinite
from kdcli.evaluation.temperature import (
    TEMPERATURES,
    Example,
    contrast,
    entropy,
    entropy_share,
    examples,
    mean_soft_targets,
    most_alike,
    soften,
    top,
)

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(np.float32)


def logits_of(*rows: list[float]) -> np.ndarray:
    """Logits whose softmax at T = 1 is these rows."""
    with np.errstate(divide="raise"):
        return np.log(np.array(rows))


# Softening ---------------------------------------------------------------------------------------


def test_at_one_it_is_the_softmax():
    assert soften(logits_of([0.5, 0.3, 0.2]), 1) == pytest.approx(np.array([[0.5, 0.3, 0.2]]))


def test_at_two_the_roots_count():
    """p^(1/T), normalised: 0.64, 0.32, 0.04 become 0.8, 0.5657, 0.2 over their sum."""
    roots = np.sqrt([0.64, 0.32, 0.04])
    assert soften(logits_of([0.64, 0.32, 0.04]), 2)[0] == pytest.approx(roots / roots.sum())


def test_at_a_half_the_squares_count():
    assert soften(logits_of([0.75, 0.25]), 0.5)[0] == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize("temperature", [1e-3, *TEMPERATURES, 1e6])
def test_rows_sum_to_one_and_classes_keep_their_order(temperature):
    softened = soften(LOGITS, temperature)
    assert softened.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert (softened.argmax(axis=1) == LOGITS.argmax(axis=1)).all()


def test_hot_is_uniform_and_cold_is_certain():
    assert soften(LOGITS, 1e9) == pytest.approx(1 / 7, abs=1e-7)
    certain = soften(LOGITS, 1e-4)
    assert (certain.max(axis=1) == 1).all()


def test_a_constant_changes_nothing_and_large_logits_do_not_overflow():
    assert soften(LOGITS + 1000, 2) == pytest.approx(soften(LOGITS, 2), abs=1e-4)
    assert soften(np.array([[1e4, 0.0]]), 0.5)[0].tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_temperatures_are_positive(temperature):
    with pytest.raises(ValueError, match="not positive"):
        soften(LOGITS, temperature)


def test_logits_that_are_no_numbers():
    with pytest.raises(NotFinite):
        soften(np.array([[0.0, np.nan]]), 1)


# Entropy and contrast ----------------------------------------------------------------------------


def test_entropy_of_known_answers():
    found = entropy(np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]]))
    assert found == pytest.approx([0, math.log(4), math.log(2)])
    assert not np.signbit(found[0])


def test_the_share_of_entropy_ends_at_one():
    found = entropy_share(np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]]))
    assert found == pytest.approx([0, 1, 0.5])


def test_heat_raises_entropy_and_lowers_contrast_of_every_image():
    softened = [soften(LOGITS, temperature) for temperature in TEMPERATURES]
    entropies = np.array([entropy(p) for p in softened])
    contrasts = np.array([contrast(p) for p in softened])
    assert (np.diff(entropies, axis=0) > 0).all()
    assert (np.diff(contrasts, axis=0) < 0).all()
    assert (entropies < math.log(7)).all()


def test_contrast_is_first_minus_second_wherever_they_stand():
    found = contrast(np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4], [0, 0, 1]]))
    assert found == pytest.approx([0.3, 0, 1])


def test_top_classes_and_ties():
    probabilities = np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4]])
    assert top(probabilities, 2).tolist() == [[1, 2], [0, 2]]
    assert top(probabilities, 5).shape == (2, 3)


# Likeness ----------------------------------------------------------------------------------------

ANSWERS = np.array([[0.8, 0.2, 0.0], [0.6, 0.1, 0.3], [0.1, 0.9, 0.0]])
LABELS = np.array([0, 0, 1])


def test_mean_soft_targets_are_means_over_the_images_of_a_class():
    found = mean_soft_targets(ANSWERS, LABELS)
    assert found[0] == pytest.approx([0.7, 0.15, 0.15])
    assert found[1] == pytest.approx([0.1, 0.9, 0.0])
    assert np.isnan(found[2]).all()


def test_rows_of_mean_soft_targets_sum_to_one():
    labels = np.arange(50) % 7
    assert mean_soft_targets(soften(LOGITS, 4), labels).sum(axis=1) == pytest.approx(1)


def test_the_most_alike_are_others_nearest_first():
    targets = np.array([[0.7, 0.1, 0.2], [0.3, 0.2, 0.5], [np.nan] * 3])
    assert most_alike(targets, 3) == [[(2, 0.2), (1, 0.1)], [(2, 0.5), (0, 0.3)], []]
    assert most_alike(targets, 1) == [[(2, 0.2)], [(2, 0.5)], []]


# Examples ----------------------------------------------------------------------------------------


def test_examples_are_two_sure_one_unsure_one_wrong():
    probabilities = np.array(
        [
            [0.90, 0.05, 0.05],  # right, second surest, of the same class as the surest
            [0.95, 0.03, 0.02],  # right, surest
            [0.10, 0.80, 0.10],  # right, surest of another class
            [0.40, 0.35, 0.25],  # right, unsure
            [0.10, 0.20, 0.70],  # wrong, 0.5 apart
            [0.45, 0.50, 0.05],  # wrong, 0.05 apart
        ]
    )
    labels = np.array([0, 0, 1, 0, 1, 0])
    assert examples(probabilities, labels) == [
        Example(1, "sure"),
        Example(2, "sure"),
        Example(3, "unsure"),
        Example(4, "wrong"),
    ]


def test_examples_that_do_not_exist_are_left_out():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert examples(probabilities, np.array([1, 1])) == [Example(0, "wrong")]
    assert examples(probabilities, np.array([0, 0])) == [Example(0, "sure"), Example(1, "unsure")]
    assert examples(probabilities[:1], np.array([0])) == [Example(0, "sure")]
