"""Which images a training sees: hidden labels, and shares drawn from the seed."""

import numpy as np
import pytest

from kdcli.data.source import Split
from kdcli.data.subset import drawn, labelled, share_drawn
from kdcli.recipe import Recipe, update

SIZES = (1, 2, 10, 100)
"""Images of each class."""

SHARE = 0.6743787511673188
DRAWN = ("1", "47", "58", "59", "67", "68", "71", "94", "106", "108")
LABELLED = ("9", "13", "17", "24", "44", "47", "59", "71", "89", "96")


class _Numbers:
    """Reads nothing; knows which images are left."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def take(self, rows: np.ndarray) -> "_Numbers":
        return _Numbers(self.rows[rows])


@pytest.fixture
def split() -> Split:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    ids = tuple(map(str, range(len(labels))))
    return Split(labels, ids, _Numbers(np.arange(len(labels))))  # type: ignore[arg-type]


def _sizes(split: Split) -> list[int]:
    return np.bincount(split.labels, minlength=len(SIZES)).tolist()


def test_all_of_it_is_the_split_itself(split: Split) -> None:
    assert labelled(split, 0.0) is split
    assert drawn(split, 1.0, 3) is split
    assert drawn(split, (1.0, 1.0), 3) is split


@pytest.mark.parametrize(("share", "sizes"), [(0.5, [1, 2, 5, 50]), (0.01, [1, 2, 2, 2])])
def test_a_share_is_taken_class_by_class_and_leaves_two_of_each(
    share: float, sizes: list[int], split: Split
) -> None:
    assert _sizes(drawn(split, share, 0)) == sizes
    assert _sizes(labelled(split, 1 - share)) == sizes


def test_a_share_is_the_seeds_and_nothing_elses(split: Split) -> None:
    first, again, other = (drawn(split, 0.5, seed).ids for seed in (0, 0, 1))
    assert first == again != other
    assert list(first) == sorted(first, key=int), "in the order of the split"


def test_images_labels_and_ids_stay_together(split: Split) -> None:
    part = drawn(split, 0.3, 4)
    rows = part.read.rows  # type: ignore[attr-defined]
    assert part.ids == tuple(map(str, rows))
    assert (part.labels == split.labels[rows]).all()


def test_hidden_is_hidden_from_everyone_and_more_of_it_hides_more(split: Split) -> None:
    most, fewer = labelled(split, 0.3), labelled(split, 0.6)
    assert set(fewer.ids) < set(most.ids)
    seen = {image for seed in range(20) for image in drawn(most, 0.6, seed).ids}
    assert seen == set(most.ids), "each seed sees others of those that are left"


def test_a_share_between_two_ends_is_drawn_evenly() -> None:
    shares = np.array([share_drawn((0.6, 1.0), seed) for seed in range(500)])
    assert 0.6 <= shares.min() < 0.62 < 0.98 < shares.max() < 1.0
    assert shares.mean() == pytest.approx(0.8, abs=0.02)
    assert share_drawn(0.7, 5) == 0.7


def test_the_numbers_are_part_of_the_interface(split: Split) -> None:
    """Other ones would change every recorded run."""
    assert share_drawn((0.6, 1.0), 0) == pytest.approx(SHARE)
    assert drawn(split, 0.05, 0).ids == DRAWN
    assert labelled(split, 0.95).ids == LABELLED


def test_ends_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="the smaller first"):
        update(Recipe(), {"data.subset": [1.0, 0.6]})
