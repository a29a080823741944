"""One judge of weak teachers: measured now or written down before, the same answer."""

import numpy as np
import pytest
from scipy.stats import binomtest

from kdcli.evaluation.metrics import balanced_accuracy
from kdcli.evaluation.standing import ABOVE, Standing, standing, standing_at

LABELS = np.array([0] * 90 + [1] * 10)


def test_plain_accuracy_does_not_make_a_teacher():
    """Right on nine of ten images, as nine of ten are of one class."""
    found = standing("t", np.zeros_like(LABELS), LABELS, 2)
    assert found.weak
    assert found.share == 0.5
    assert "hardly better than chance (0.500)" in found.words


@pytest.mark.parametrize(
    ("right", "images", "classes", "weak"),
    [
        (3, 9, 10, True),  # 0.13 at chance and a twentieth: binomial tails by hand
        (4, 9, 10, False),  # 0.03
        (7, 12, 3, True),  # 0.11
        (8, 12, 3, False),  # 0.03
        (55, 100, 2, True),
        (62, 100, 2, False),
    ],
)
def test_few_images_show_little(right: int, images: int, classes: int, weak: bool) -> None:
    chance = 1 / classes + ABOVE * (1 - 1 / classes)
    assert (binomtest(right, images, chance, "greater").pvalue >= 0.05) == weak
    assert Standing("t", right / images, images, classes).weak == weak


def test_what_was_written_down_is_judged_as_what_is_measured():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.3, 1.0):
        answers = np.where(rng.random(100) < share, LABELS, 1 - LABELS)
        recall = balanced_accuracy(answers, LABELS, 2)
        assert standing_at("t", recall, LABELS, 2) == standing("t", answers, LABELS, 2)
