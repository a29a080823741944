"""Which images a training sees: hidden labels, and shares drawn from the seed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kdcli.data.source import Split
from kdcli.data.subset import drawn, labelled, labelled_split, share_drawn, training_split
from kdcli.recipe.data import Data, Keep
from kdcli.recipe.edit import update
from kdcli.recipe.schema import Recipe, SchemeUse

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


def _splits(split: Split, scheme: str, **data: Any) -> tuple[Split, Split]:
    """What a training sees, and what of it has labels."""
    recipe = Recipe(scheme=SchemeUse(name=scheme), data=Data(**data))
    spec, source = (
        SimpleNamespace(recipe=recipe, seed=3, unlabelled=None),
        SimpleNamespace(train=split, unlabelled=None),
    )
    return training_split(spec, source), labelled_split(spec, source)  # type: ignore[arg-type]


@pytest.mark.parametrize("subset", [0.5, 1.0, (0.4, 0.9)])
def test_who_learns_from_labels_sees_some_of_what_the_teachers_label(
    subset: Any, split: Split
) -> None:
    whole, known = _splits(split, "compress", subset=subset, hidden=0.6)
    share = share_drawn(subset, 3)
    assert set(known.ids) < set(whole.ids)
    assert list(whole.ids) == sorted(whole.ids, key=int)
    assert set(known.ids) == set(whole.ids) & set(labelled(split, 0.6).ids)
    assert len(whole) == pytest.approx(share * len(split), abs=3)
    unknown = [name for name, label in zip(whole.ids, whole.labels, strict=True) if label < 0]
    assert set(unknown) == set(whole.ids) - set(known.ids)
    assert _splits(split, "alone", subset=subset, hidden=0.6)[0].ids == known.ids


@pytest.mark.parametrize("keep", [1, 5, 1000])
def test_so_many_of_each_class_keep_their_labels(keep: int, split: Split) -> None:
    known = labelled(split, Keep(keep=keep))
    assert _sizes(known) == [min(keep, size) for size in SIZES]
    assert set(known.ids) <= set(labelled(split, Keep(keep=keep + 1)).ids)
    whole, _ = _splits(split, "offline", hidden=Keep(keep=keep), labelled_share=0.5)
    assert whole.ids == split.ids
    assert (whole.labels >= 0).sum() == len(known)


def test_either_alone_is_what_it_always_was(split: Split) -> None:
    whole, known = _splits(split, "compress", subset=0.3)
    assert whole.ids == known.ids == drawn(split, 0.3, 3).ids
    whole, known = _splits(split, "compress", hidden=0.3)
    assert (whole.ids, known.ids) == (split.ids, labelled(split, 0.3).ids)


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
