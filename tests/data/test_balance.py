"""Rare classes get an equal share; who has which turn is a pure function of (seed, epoch)."""

from itertools import pairwise

import numpy as np
import pytest

from kdcli.data.balance import balanced, class_weights

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 4], [60, 25, 5, 1]))
"""60:1, and no image of class 3."""
SLOTS = 90


def epochs(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The first `n` epochs, (n, SLOTS) each."""
    rows, views = zip(*(balanced(seed, epoch, LABELS, SLOTS) for epoch in range(n)), strict=True)
    return np.stack(rows), np.stack(views)


def test_classes_get_equal_shares_of_an_epoch_and_of_all() -> None:
    rows, _ = epochs(7)
    counts = np.stack([np.bincount(LABELS[row], minlength=5) for row in rows])[:, [0, 1, 2, 4]]
    assert counts.sum(1).tolist() == [SLOTS] * 7
    assert np.ptp(counts, axis=1).max() == 1  # 90 slots, 4 classes
    assert np.ptp(counts.cumsum(0), axis=1).max() <= 1


def test_no_image_has_a_view_twice() -> None:
    rows, views = epochs(12)
    seen = set(zip(rows.ravel().tolist(), views.ravel().tolist(), strict=True))
    assert len(seen) == rows.size


@pytest.mark.parametrize("label", [0, 1, 2, 4])
def test_all_members_are_seen_before_one_is_seen_again(label: int) -> None:
    rows, views = epochs(12)
    members = np.flatnonzero(label == LABELS)
    mine = LABELS[rows] == label
    complete = views[mine].max()  # the last pass may have just begun
    assert complete >= 3
    for view in range(complete):
        assert np.array_equal(np.sort(rows[mine & (views == view)]), members)


def test_passes_follow_each_other_from_epoch_to_epoch() -> None:
    rows, views = epochs(12)
    large = [views[epoch][LABELS[rows[epoch]] == 0] for epoch in range(12)]
    assert all(a.max() <= b.min() for a, b in pairwise(large))


def test_any_epoch_can_be_asked_for_first() -> None:
    rows, views = epochs(6)
    later = balanced(0, 5, LABELS, SLOTS)
    assert np.array_equal(later[0], rows[5])
    assert np.array_equal(later[1], views[5])


def test_epochs_seeds_and_passes_differ() -> None:
    rows, views = epochs(4)
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], epochs(1, seed=1)[0][0])
    in_order = [rows[views == v][LABELS[rows[views == v]] == 1] for v in (0, 1)]
    assert not np.array_equal(*in_order)


def test_classes_are_spread_over_the_epoch() -> None:
    rows, _ = epochs(1)
    first_half = np.bincount(LABELS[rows[0, : SLOTS // 2]], minlength=5)[[0, 1, 2, 4]]
    assert first_half.min() >= 5


def test_golden_values() -> None:
    rows, views = balanced(0, 1, np.array([0, 0, 0, 1, 2, 2]), 6)
    assert rows.tolist() == [1, 5, 2, 3, 4, 3]
    assert views.tolist() == [0, 1, 1, 2, 1, 3]


def test_more_classes_than_slots() -> None:
    rows = np.concatenate([balanced(0, epoch, np.arange(7), 3)[0] for epoch in range(7)])
    assert np.bincount(rows).tolist() == [3] * 7


def test_weights_are_one_on_average_over_the_images() -> None:
    weights = class_weights(LABELS, 5)
    assert weights.dtype == np.float32
    assert weights[LABELS].mean() == pytest.approx(1)
    assert weights[[0, 1, 2, 4]] == pytest.approx(91 / 4 / np.array([60, 25, 5, 1]))


def test_classes_without_images_weigh_one() -> None:
    assert class_weights(LABELS, 6)[[3, 5]].tolist() == [1, 1]


def test_unknown_labels_weigh_nothing() -> None:
    assert class_weights(np.array([0, 0, 1, -1, -1]), 2) == pytest.approx([0.75, 1.5])
