"""Nearest neighbours: nobody is its own, whatever is equal."""

import numpy as np
import pytest

from kdcli.data.neighbours import neighbours


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0, 1000])
def test_they_are_the_nearest(dtype, shift):
    points = np.random.default_rng(0).normal(size=(300, 5)).astype(dtype) + dtype(shift)
    distances = ((points[:, None].astype(float) - points) ** 2).sum(2)
    np.fill_diagonal(distances, np.inf)
    found = neighbours(points)
    assert found.dtype == np.int64
    nearest = distances[np.arange(300), found]
    assert np.allclose(nearest, distances.min(1), rtol=1e-4, atol=1e-6)


def test_of_points_that_are_all_the_same_each_has_another_one():
    found = neighbours(np.full((6, 3), 2.5))
    assert (found != np.arange(6)).all()


def test_a_single_point_has_none():
    with pytest.raises(ValueError, match="takes two"):
        neighbours(np.zeros((1, 3)))
