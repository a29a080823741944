"""MUNGE: new vectors from old ones, each a pure function of the seed."""

import numpy as np
import pytest

from kdcli.data import munge as module
from kdcli.data.munge import munge, neighbours, normal

POINTS = np.random.default_rng(0).normal(size=(40, 5))


def test_nothing_chosen_gives_copies_pass_by_pass():
    assert np.array_equal(munge(POINTS, p=0, s=1, passes=3), np.concatenate([POINTS] * 3))


def test_without_variance_values_are_swapped_example_by_example():
    line = np.array([[0.0, 5], [1, 6], [1.5, 7]])  # neighbours 1, 2, 1
    first = line[[1, 0, 2]]
    second = first[[0, 2, 1]]
    third = second[[0, 2, 1]]
    np.testing.assert_allclose(munge(line, p=1, s=1e15), third, atol=1e-9)


def test_two_continuous_attributes_move_as_the_paper_says():
    """A pair far from all others, asked under many seeds: the first of it is changed twice."""
    pair = np.array([[0.0], [4.0]])
    found = np.array([munge(pair, p=1, s=2, seed=seed)[1, 0] for seed in range(4000)])
    # example 0: e0 ~ N(4, 2), e1 ~ N(0, 2); example 1 then: e1 ~ N(e0, |e0 - e1| / 2)
    assert found.mean() == pytest.approx(4, abs=0.15)
    variance = 4 + (16 + 8) / 4  # of the mean, and the mean of (e0 - e1)^2 / 4
    assert found.var() == pytest.approx(variance, rel=0.1)


def test_normal_numbers_are_normal():
    drawn = normal(7, np.arange(20_000))
    assert drawn.mean() == pytest.approx(0, abs=0.03)
    assert drawn.std() == pytest.approx(1, abs=0.03)
    assert np.quantile(drawn, 0.975) == pytest.approx(1.96, abs=0.06)


def test_nominal_values_are_swapped_never_made_up():
    kinds = np.arange(40)[:, None] % 20 * 10.0
    nominal = np.array([False] * 5 + [True])
    mixed = np.concatenate([POINTS, kinds], 1)
    made = munge(mixed, p=0.5, s=1, passes=2, nominal=nominal)
    assert set(made[:, 5]) <= set(kinds[:, 0])
    for one in np.split(made[:, 5], 2):
        assert sorted(one) == sorted(kinds[:, 0])
    assert not np.array_equal(made[:40, 5], kinds[:, 0])


def test_nominal_values_count_in_the_distance():
    examples = np.array([[0.0, 1], [0.1, 2], [0.9, 1], [1.0, 2]])
    nominal = np.array([False, True])
    assert neighbours(module.scaled(examples, nominal)).tolist() == [2, 3, 0, 1]


def test_attributes_are_scaled_before_distances_are_taken():
    wide = POINTS * [1e6, 1, 1, 1, 1]
    made = munge(wide, p=1, s=3)
    np.testing.assert_allclose(made, munge(POINTS, p=1, s=3) * [1e6, 1, 1, 1, 1])


def test_it_is_a_function_of_its_arguments():
    before = POINTS.copy()
    one, same, other = (munge(POINTS, p=0.5, s=1, passes=2, seed=seed) for seed in (3, 3, 4))
    assert one.shape == (80, 5)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[:40], one[40:])
    assert np.array_equal(POINTS, before)


def test_examples_that_are_all_the_same_stay_so():
    same = np.full((6, 3), 2.5)
    assert np.array_equal(munge(same, p=1, s=1), same)


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_neighbours_are_found_in_parts_as_in_one(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    distances = ((POINTS[:, None] - POINTS) ** 2).sum(2) + np.diag([np.inf] * 40)
    assert np.array_equal(neighbours(POINTS), distances.argmin(1))


@pytest.mark.parametrize("wrong", [{"p": 1.1}, {"s": 0}, {"passes": 0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="p="):
        munge(POINTS, **{"p": 0.5, "s": 1.0} | wrong)
    with pytest.raises(ValueError, match="takes two"):
        munge(POINTS[:1], p=0.5, s=1)
