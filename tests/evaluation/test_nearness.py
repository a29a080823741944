"""What a student kept of its ensemble, and whom it is nearer to."""

import numpy as np
import pytest

from kdcli.evaluation.nearness import (
    closer_in_accuracy,
    closer_in_agreement,
    closer_in_answers,
    gap_kept,
)


@pytest.mark.parametrize(
    ("student", "single", "ensemble", "kept"),
    [
        (0.92, 0.90, 0.95, 0.4),
        (0.95, 0.90, 0.95, 1.0),
        (0.96, 0.90, 0.95, 1.2),
        (0.88, 0.90, 0.95, -0.4),
        (0.905, 0.90, 0.91, 0.5),
        (0.92, 0.90, 0.909, None),
        (0.92, 0.90, 0.90, None),
        (0.92, 0.95, 0.90, None),
    ],
)
def test_the_share_of_the_gap_that_was_kept(
    student: float, single: float, ensemble: float, kept: float | None
) -> None:
    assert gap_kept(student, single, ensemble) == pytest.approx(kept)


def _right(of_a_thousand: int) -> np.ndarray:
    return np.arange(1000) < of_a_thousand


@pytest.mark.parametrize(
    ("student", "closer"), [(945, "ensemble"), (805, "single"), (875, "undecided")]
)
def test_nearer_in_accuracy_where_the_images_tell(student: int, closer: str) -> None:
    assert closer_in_accuracy(_right(student)[None], _right(950), _right(800)) == closer


def test_nearer_in_accuracy_counts_above_and_below_alike() -> None:
    assert closer_in_accuracy(_right(990)[None], _right(950), _right(700)) == "ensemble"
    assert closer_in_accuracy(_right(650)[None], _right(950), _right(700)) == "single"


def test_few_images_decide_nothing() -> None:
    few = np.array([[True, True, False, False]])
    assert closer_in_accuracy(few, few[0], ~few[0]) == "undecided"


def test_seeds_that_differ_are_less_sure() -> None:
    """One seed answers like the ensemble, the others like the single one, a little more often."""
    to_ensemble = np.stack([np.zeros(300), np.ones(300), np.ones(300)])
    assert closer_in_answers(to_ensemble[1:2], 1 - to_ensemble[1:2]) == "single"
    assert closer_in_answers(to_ensemble, 1 - to_ensemble) == "undecided"


def test_equal_distances_are_undecided() -> None:
    assert closer_in_answers(np.ones((2, 9)), np.ones((2, 9))) == "undecided"


@pytest.mark.parametrize(("apart", "closer"), [(5, "undecided"), (9, "ensemble")])
def test_a_few_images_do_not_say_whose_classes_it_gives(apart: int, closer: str) -> None:
    differs = (np.arange(1000) < apart)[None]
    assert closer_in_agreement(~differs & differs, differs) == closer
