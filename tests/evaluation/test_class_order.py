"""A model whose classes stand in another order than the data's is told from a weak one."""

import numpy as np
import pytest

from kdcli.evaluation.class_order import permuted_classes


def answers(labels, share, seed, confused=0.0):
    """Right on `share`, else any class; of the first two `confused` are taken for each other."""
    rng, classes = np.random.default_rng(seed), labels.max() + 1
    guesses = rng.integers(0, classes, len(labels))
    found = np.where(rng.random(len(labels)) < share, labels, guesses)
    for mine, other in ((0, 1), (1, 0)):
        found[(labels == mine) & (rng.random(len(labels)) < confused)] = other
    return found


def swapped(classes, *places):
    """Names of K classes of which some changed places in a ring."""
    names = np.arange(classes)
    names[list(places)] = [*places[1:], places[0]]
    return names


def test_two_of_ten_classes_swapped_are_named():
    labels = np.repeat(np.arange(10), 18)
    found = permuted_classes(swapped(10, 3, 7)[labels], labels, 10)
    assert set(found.pairs) == {(3, 7), (7, 3)}
    assert (found.right, found.renamed) == (pytest.approx(0.8), 1.0)


@pytest.mark.parametrize(
    ("classes", "each", "share", "ring"),
    [
        (2, 18, 0.9, (0, 1)),
        (10, 18, 0.75, (2, 5)),
        (10, 12, 0.9, (2, 5)),
        (10, 100, 0.4, (2, 5, 8)),
        (10, 5, 0.9, range(10)),
        (100, 9, 0.9, (40, 41)),
        (100, 3, 0.75, range(100)),  # of single classes too few to tell: of all together
    ],
)
def test_a_good_teacher_in_another_order_is_caught(classes, each, share, ring):
    labels, names = np.repeat(np.arange(classes), each), swapped(classes, *ring)
    for seed in range(5):
        found = permuted_classes(names[answers(labels, share, seed)], labels, classes)
        assert found is not None
        assert {it for it, _ in found.pairs} <= set(ring)
        assert found.renamed > 2 * found.right or found.renamed - found.right > 0.01


@pytest.mark.parametrize(("share", "confused"), [(0.0, 0.0), (0.3, 0.0), (0.9, 0.0), (1.0, 0.5)])
@pytest.mark.parametrize(("classes", "each"), [(2, 18), (2, 200), (10, 4), (10, 50), (100, 3)])
def test_a_weak_or_confused_teacher_is_not(classes, each, share, confused):
    """Also where two classes are mistaken for each other as often as not."""
    labels = np.repeat(np.arange(classes), each)
    found = [
        permuted_classes(answers(labels, share, seed, confused), labels, classes)
        for seed in range(20)
    ]
    assert found == [None] * 20


def test_one_answer_to_everything_is_no_order():
    labels = np.repeat(np.arange(3), 50)
    assert permuted_classes(np.zeros_like(labels), labels, 3) is None
