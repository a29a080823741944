"""Numbers of the data are pure functions of their keys, and never change."""

from itertools import pairwise

import numpy as np
import pytest

from kdcli.data.order import all_but, hashes, passes, permutation, uniform


def test_one_key_is_published_splitmix64() -> None:
    assert int(hashes(0)) == 0xE220A8397B1DCDAF


def test_golden_values() -> None:
    assert hashes(1, np.arange(3)).tolist() == [
        6791897765849424158,
        16860738450190168606,
        13608149317741381227,
    ]
    assert float(uniform(1, 2, 3)) == 0.814259011529328
    assert permutation(0, 0, 8).tolist() == [3, 6, 4, 5, 1, 2, 7, 0]
    assert permutation(0, 1, 8).tolist() == [0, 6, 5, 1, 2, 4, 3, 7]
    assert permutation(1, 0, 8).tolist() == [3, 2, 4, 0, 7, 1, 6, 5]


def test_vectorised_is_one_by_one() -> None:
    together = hashes(5, np.arange(4), 7)
    assert together.tolist() == [int(hashes(5, i, 7)) for i in range(4)]


def test_order_of_keys_counts() -> None:
    assert int(hashes(1, 2)) != int(hashes(2, 1))


def test_any_integer_is_a_key() -> None:
    assert int(hashes(-1)) == int(hashes((1 << 64) - 1))
    assert hashes(np.array([-1])).tolist() == [int(hashes(-1))]


def test_uniform_is_uniform() -> None:
    numbers = uniform(0, np.arange(10_000))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.abs(np.histogram(numbers, 10, (0, 1))[0] - 1000).max() < 150


def test_permutation_holds_everyone_once() -> None:
    assert sorted(permutation(3, 4, 1000)) == list(range(1000))
    assert permutation(0, 0, 0).tolist() == []


@pytest.mark.parametrize(("n", "shown"), [(63, 56), (63, 32), (21, 20), (64, 64), (3, 2)])
def test_nobody_is_left_out_of_two_epochs_in_a_row(n: int, shown: int) -> None:
    epochs = [all_but(2, epoch, n, shown) for epoch in range(2 * n)]
    assert all(len(set(order.tolist())) == shown for order in epochs)
    assert all(set(a) | set(b) == set(range(n)) for a, b in pairwise(epochs))
    seen = np.bincount(np.concatenate(epochs))
    assert set(seen) == {2 * shown}, "all as often"
    assert np.array_equal(all_but(2, 5, n, shown), epochs[5])


def test_where_nobody_is_left_out_the_order_is_that_of_the_epoch() -> None:
    assert np.array_equal(all_but(1, 3, 10, 10), permutation(1, 3, 10))


def test_passes_go_on_until_all_were_seen() -> None:
    rows, which = passes(3, 0, 30, 10)
    for number in range(3):
        assert np.array_equal(rows[which == number], permutation(3, number, 10))
    for first, last in ((0, 4), (4, 8), (8, 12), (12, 30), (10, 20)):
        part = passes(3, first, last, 10)
        assert np.array_equal(part[0], rows[first:last])
        assert np.array_equal(part[1], which[first:last])
