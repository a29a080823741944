"""Carved splits: exact totals, stratified, disjoint, the same every time."""

import numpy as np
import pytest

from kdcli.data.splits import carve

IMBALANCED = np.repeat(np.arange(4), [500, 60, 7, 2])


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.5])
def test_total_is_exact_and_nothing_is_lost(share: float) -> None:
    rest, part = carve(IMBALANCED, share, seed=0)
    assert len(part) == round(share * len(IMBALANCED))
    assert sorted([*rest, *part]) == list(range(len(IMBALANCED)))
    assert (np.diff(rest) > 0).all()
    assert (np.diff(part) > 0).all()


def test_classes_give_by_largest_remainder() -> None:
    labels = np.repeat(np.arange(3), [50, 30, 20])
    _, part = carve(labels, 0.25, seed=0)  # quotas 12.5, 7.5, 5: the tie goes to the first
    assert np.bincount(labels[part]).tolist() == [13, 7, 5]


def test_small_classes_stand_on_both_sides() -> None:
    rest, part = carve(IMBALANCED, 0.1, seed=0)
    assert set(IMBALANCED[rest]) == set(IMBALANCED[part]) == {0, 1, 2, 3}


def test_a_class_of_one_stays_in_the_rest() -> None:
    labels = np.array([0] * 10 + [1])
    rest, part = carve(labels, 0.5, seed=0)
    assert 1 in labels[rest]
    assert 1 not in labels[part]
    assert len(part) == 6 == round(5.5)


def test_fewer_places_than_classes() -> None:
    labels = np.repeat(np.arange(10), 4)
    _, part = carve(labels, 0.1, seed=0)
    assert len(part) == 4
    assert np.bincount(labels[part]).max() == 1


def test_no_class_is_emptied() -> None:
    rest, part = carve(np.arange(10), 0.5, seed=0)
    assert (len(rest), len(part)) == (10, 0)


def test_seed_alone_decides() -> None:
    first, again, other = (carve(IMBALANCED, 0.2, seed)[1] for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()
