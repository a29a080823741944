"""One judge of weak teachers: measured now or written down before, the same answer."""

import numpy as np

from kdcli.evaluation.metrics import balanced_accuracy
from kdcli.evaluation.standing import standing, standing_at

LABELS = np.array([0] * 90 + [1] * 10)


def test_plain_accuracy_does_not_make_a_teacher():
    """Right on nine of ten images, as nine of ten are of one class."""
    found = standing("t", np.zeros_like(LABELS), LABELS, 2)
    assert found.weak
    assert found.share == 0.5
    assert "hardly better than chance (0.500)" in found.words


def test_what_was_written_down_is_judged_as_what_is_measured():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.3, 1.0):
        answers = np.where(rng.random(100) < share, LABELS, 1 - LABELS)
        recall, _ = balanced_accuracy(answers, LABELS, 2)
        assert standing_at("t", recall, LABELS, 2) == standing("t", answers, LABELS, 2)
