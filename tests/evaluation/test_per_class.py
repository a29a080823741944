import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from kdcli.evaluation.intervals import paired_interval, share_interval
from kdcli.evaluation.metrics import balanced_accuracy
from kdcli.evaluation.per_class import (
    balanced_gain,
    imbalance,
    lost_most,
    macro_f1,
    recalls,
    worst,
)
from kdcli.evaluation.significance import paired_gain


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def answers(rng, labels, classes, share):
    """Predictions that are right this often, and else anything."""
    return np.where(rng.random(len(labels)) < share, labels, rng.integers(0, classes, len(labels)))


# One model -------------------------------------------------------------------------------------


def test_imbalance():
    assert imbalance(np.array([0, 0, 0, 2, 2, 2])) == 1.0
    assert imbalance(np.repeat([0, 1, 2], [120, 60, 10])) == 12.0


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_says_the_same(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(7, p=[0.4, 0.3, 0.15, 0.1, 0.03, 0.02, 0], size=90)
    predictions = answers(rng, labels, 7, 0.6)  # the last class is answered, and never met
    found = recalls((predictions == labels)[None], labels)
    assert [one.label for one in found] == np.unique(labels).tolist()
    by_sklearn = recall_score(labels, predictions, labels=np.unique(labels), average=None)
    assert [one.recall for one in found] == pytest.approx(by_sklearn.tolist())
    assert worst(found).recall == pytest.approx(by_sklearn.min())
    mean = np.mean([one.recall for one in found])
    assert mean == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert mean == pytest.approx(balanced_accuracy(predictions, labels, 7))
    assert macro_f1(predictions, labels) == pytest.approx(
        f1_score(labels, predictions, average="macro", zero_division=0)
    )


def test_macro_f1_by_hand():
    # class 0: 2 of 2 answers, 2 of 3 images: 4/5; class 1: never right; class 2: answered only
    labels = np.array([0, 0, 0, 1])
    assert macro_f1(np.array([0, 0, 2, 2]), labels) == pytest.approx(0.8 / 3)
    assert macro_f1(labels, labels) == 1.0


def test_recalls_carry_an_interval():
    right = np.array([[True] * 9 + [False] + [True] * 3])
    first, second = recalls(right, np.repeat([1, 4], [10, 3]))
    assert (first.label, first.images, first.recall) == (1, 10, 0.9)
    assert first.ci95.low == pytest.approx(share_interval(0.9, 10).low)
    assert first.ci95.high == pytest.approx(share_interval(0.9, 10).high)
    assert (second.label, second.images, second.recall) == (4, 3, 1.0)
    assert second.ci95.low == pytest.approx(share_interval(1, 3).low)


def test_of_equal_recalls_the_first_is_the_worst():
    found = recalls(
        np.array([[True, False, True, False, True, True]]), np.array([3, 3, 1, 1, 0, 0])
    )
    assert worst(found).label == 1


def test_seeds_that_differ_widen_the_interval():
    labels = np.zeros(100, dtype=int)
    alike = np.repeat([np.arange(100) < 80], 3, axis=0)
    apart = np.array([np.arange(100) < hits for hits in (70, 80, 90)])
    (narrow,), (wide,) = recalls(alike, labels), recalls(apart, labels)
    assert narrow.recall == wide.recall == 0.8
    assert wide.ci95.low < narrow.ci95.low < narrow.ci95.high < wide.ci95.high


# Teacher and student ---------------------------------------------------------------------------


def test_lost_most_picks_the_largest_drop_and_says_how_sure_it_is():
    labels = np.repeat([0, 1, 5], [40, 40, 20])
    teacher = np.ones(100, dtype=bool)
    student = np.ones((1, 100), dtype=bool)
    student[0, :4] = student[0, 40:50] = student[0, 80:84] = False  # 10%, 25%, 20%
    lost = lost_most(teacher, student, labels)
    assert (lost.label, lost.images, lost.drop) == (1, 40, 0.25)
    alone = paired_interval(10 / 40, 0, 40)
    assert lost.ci95.low < alone.low < 0.25 < alone.high < lost.ci95.high


def test_lost_most_means_over_seeds():
    labels = np.array([0] * 4 + [1] * 4)
    student = np.ones((2, 8), dtype=bool)
    student[0, :3] = student[:, 4:6] = False  # 3/4 of one seed; 2/4 of both
    lost = lost_most(np.ones(8, dtype=bool), student, labels)
    assert (lost.label, lost.drop) == (1, 0.5)


def test_nothing_lost_is_none():
    teacher, labels = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    assert lost_most(teacher, teacher[None], labels) is None
    assert lost_most(teacher, ~np.zeros((3, 4), dtype=bool), labels) is None


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.25)])
def test_the_picked_class_is_covered_as_promised(seeds, spread):
    """Eight classes of 60 images, equally hard: the one that seems worst is so by luck alone."""
    rng = np.random.default_rng(0)
    classes, images, trials = 8, 60, 250
    labels = np.repeat(np.arange(classes), images)
    difficulty = rng.normal(2, 2, 200_000)
    shares = [sigmoid(difficulty - 0.3 + s).mean() for s in rng.normal(0, spread, 30)]
    truth = sigmoid(difficulty).mean() - np.mean(shares)
    held = seen = 0
    for _ in range(trials):
        x = rng.normal(2, 2, len(labels))
        luck = rng.normal(0, spread, (seeds, classes)).repeat(images, axis=1)
        teacher = rng.random(len(labels)) < sigmoid(x)
        student = rng.random((seeds, len(labels))) < sigmoid(x - 0.3 + luck)
        if lost := lost_most(teacher, student, labels):
            seen += 1
            held += lost.ci95.low <= truth <= lost.ci95.high
    assert seen > 0.95 * trials
    assert held / seen >= 0.95


# Student against baseline ----------------------------------------------------------------------


def test_balanced_gain_counts_every_class_alike():
    labels = np.repeat([0, 1], [90, 10])
    student, baseline = np.ones((1, 100), dtype=bool), np.ones((1, 100), dtype=bool)
    student[0, :9] = False  # -10% of the large class
    baseline[0, 90:95] = False  # +50% of the small one
    gain, interval = balanced_gain(student, baseline, labels)
    assert gain == pytest.approx((-0.1 + 0.5) / 2)
    assert paired_gain(student, baseline).gain < 0
    assert interval.low < gain < interval.high


def test_balanced_gain_of_one_seed_matches_theory():
    # sd of a mean of two means, each over images drawn in its own class
    labels = np.repeat([0, 1], [4000, 1000])
    student, baseline = np.zeros((1, 5000), dtype=bool), np.zeros((1, 5000), dtype=bool)
    student[0, :400] = student[0, 4000:4200] = True
    baseline[0, 4200:4300] = True
    sd = math.sqrt(0.1 * 0.9 / 4000 + (0.3 - 0.1**2) / 1000) / 2
    gain, interval = balanced_gain(student, baseline, labels)
    assert gain == pytest.approx(0.1)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * sd, rel=0.03)


def test_balanced_gain_of_one_class_is_the_gain():
    rng = np.random.default_rng(3)
    student, baseline = rng.random((1, 400)) < 0.9, rng.random((1, 400)) < 0.85
    gain, interval = balanced_gain(student, baseline, np.zeros(400, dtype=int))
    plain = paired_gain(student, baseline)
    assert (gain, interval.low) == pytest.approx((plain.gain, plain.ci95.low))
    assert interval.high == pytest.approx(plain.ci95.high)


def test_seeds_that_differ_leave_the_balanced_gain_open():
    student = np.array([[True] * 60, [True] * 60, [False] * 60])
    _, interval = balanced_gain(student, ~student, np.repeat([0, 1, 2], 20))
    assert (interval.low, interval.high) == (-1, 1)


def test_a_class_of_few_images_leaves_much_open_though_nothing_differs():
    one = np.ones((2, 90), dtype=bool)
    gain, even = balanced_gain(one, one, np.repeat([0, 1, 2], 30))
    _, rare = balanced_gain(one, one, np.repeat([0, 1, 2], [44, 44, 2]))
    of_two = 1 - 0.025 ** (1 / 2)  # of two images, none differed
    assert gain == 0
    assert even.high == pytest.approx((1 - 0.025 ** (1 / 30)) / math.sqrt(3))
    assert rare.high == -rare.low > of_two / 3


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.1), (5, 0.1)])
def test_balanced_gain_is_covered(seeds, spread):
    """Classes of 200 to 15 images; the rarest is the hardest."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(4), [200, 80, 30, 15])
    shift = np.array([3.0, 2.5, 2.0, 1.0])
    difficulty = rng.normal(0, 2, 100_000)
    truth = np.mean(
        [(sigmoid(difficulty + s + 0.3) - sigmoid(difficulty + s)).mean() for s in shift]
    )
    trials, held = 200, 0
    for _ in range(trials):
        x = rng.normal(0, 2, len(labels)) + shift[labels]
        luck = rng.normal(0, spread, (2, seeds, 1))
        student = rng.random((seeds, len(labels))) < sigmoid(x + 0.3 + luck[0])
        baseline = rng.random((seeds, len(labels))) < sigmoid(x + luck[1])
        _, interval = balanced_gain(student, baseline, labels)
        held += interval.low <= truth <= interval.high
    assert held / trials >= 0.94


def test_unequal_shapes_are_refused():
    ones = np.ones((2, 6), dtype=bool)
    for student, baseline, labels in (
        (ones, ones[:1], np.zeros(6, dtype=int)),
        (ones, ones, np.zeros(5, dtype=int)),
        (ones[:0], ones[:0], np.zeros(6, dtype=int)),
    ):
        with pytest.raises(ValueError, match="wanted"):
            balanced_gain(student, baseline, labels)
