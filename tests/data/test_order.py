"""Numbers of the data are pure functions of their keys, and never change."""

import numpy as np

from kdcli.data.order import hashes, passes, permutation, uniform


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


def test_passes_go_on_until_all_were_seen() -> None:
    rows, which = passes(3, 0, 30, 10)
    for number in range(3):
        assert np.array_equal(rows[which == number], permutation(3, number, 10))
    for first, last in ((0, 4), (4, 8), (8, 12), (12, 30), (10, 20)):
        part = passes(3, first, last, 10)
        assert np.array_equal(part[0], rows[first:last])
        assert np.array_equal(part[1], which[first:last])
