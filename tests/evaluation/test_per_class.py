import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from kdcli.evaluation.intervals import accuracy_interval
from kdcli.evaluation.metrics import balanced_accuracy
from kdcli.evaluation.per_class import (
    balanced_gain,
    effective_images,
    imbalance,
    lost_most,
    macro_f1,
    paired_drop,
    recalls,
    worst,
)
from kdcli.evaluation.significance import paired_gain


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def two_by_two(both, teacher_only, student_only, neither):
    """Teacher (n,) and student (1, n) that agree and differ so often."""
    teacher = np.repeat([True, True, False, False], [both, teacher_only, student_only, neither])
    student = np.repeat([True, False, True, False], [both, teacher_only, student_only, neither])
    return teacher, student[None]


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
    assert mean == pytest.approx(balanced_accuracy(predictions, labels, 7)[0])
    assert macro_f1(predictions, labels) == pytest.approx(
        f1_score(labels, predictions, average="macro", zero_division=0)
    )


def test_macro_f1_by_hand():
    # class 0: 2 of 2 answers, 2 of 3 images: 4/5; class 1: never right; class 2: answered only
    labels = np.array([0, 0, 0, 1])
    assert macro_f1(np.array([0, 0, 2, 2]), labels) == pytest.approx(0.8 / 3)
    assert macro_f1(labels, labels) == 1.0


def test_recalls_carry_wilsons_interval():
    right = np.array([[True] * 9 + [False] + [True] * 3])
    first, second = recalls(right, np.repeat([1, 4], [10, 3]))
    assert (first.label, first.images, first.recall) == (1, 10, 0.9)
    assert first.ci95.low == pytest.approx(accuracy_interval(9, 10).low)
    assert first.ci95.high == pytest.approx(accuracy_interval(9, 10).high)
    assert (second.label, second.images, second.recall) == (4, 3, 1.0)
    assert second.ci95.low == pytest.approx(accuracy_interval(3, 3).low)


def test_of_equal_recalls_the_first_is_the_worst():
    found = recalls(
        np.array([[True, False, True, False, True, True]]), np.array([3, 3, 1, 1, 0, 0])
    )
    assert worst(found).label == 1


def test_effective_images():
    one = np.array([[True, True, False, True]])
    assert effective_images(one) == pytest.approx(4)
    assert effective_images(np.repeat(one, 3, axis=0)) == pytest.approx(4), "seeds agree"
    assert effective_images(np.ones((3, 9), dtype=bool)) == 9
    # shares of 1 and 0: all the spread is between seeds, so two seeds are as good as half an image
    apart = np.array([[True] * 50, [False] * 50])
    assert effective_images(apart) == pytest.approx(0.25 / (0.5 / 2))


def test_seeds_that_differ_widen_the_interval():
    labels = np.zeros(100, dtype=int)
    alike = np.repeat([np.arange(100) < 80], 3, axis=0)
    apart = np.array([np.arange(100) < hits for hits in (70, 80, 90)])
    (narrow,), (wide,) = recalls(alike, labels), recalls(apart, labels)
    assert narrow.recall == wide.recall == 0.8
    assert wide.ci95.low < narrow.ci95.low < narrow.ci95.high < wide.ci95.high


# Teacher and student ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Fagerland, Lydersen and Laake 2017, Statistical Analysis of Contingency Tables, ch. 8
        ((1, 1, 7, 12), -0.5069, -0.0256),
        ((59, 6, 16, 80), -0.1186, -0.0046),
        # a negative correlation is not corrected for continuity
        ((36, 12, 2, 0), 0.0569, 0.3404),
    ],
)
def test_paired_drop_on_published_tables(table, low, high):
    interval = paired_drop(*two_by_two(*table))
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("table", [(0, 1, 0, 0), (0, 0, 0, 1), (5, 0, 0, 0), (1, 0, 0, 1)])
def test_a_few_images_leave_much_open(table):
    interval = paired_drop(*two_by_two(*table))
    assert -1 <= interval.low < interval.high <= 1
    assert interval.high - interval.low > 0.5


def test_equal_seeds_are_one_seed():
    teacher, student = two_by_two(40, 9, 2, 9)
    one, three = paired_drop(teacher, student), paired_drop(teacher, np.repeat(student, 3, axis=0))
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_lost_most_picks_the_largest_drop_and_says_how_sure_it_is():
    labels = np.repeat([0, 1, 5], [40, 40, 20])
    teacher = np.ones(100, dtype=bool)
    student = np.ones((1, 100), dtype=bool)
    student[0, :4] = student[0, 40:50] = student[0, 80:84] = False  # 10%, 25%, 20%
    lost = lost_most(teacher, student, labels)
    assert (lost.label, lost.images, lost.drop) == (1, 40, 0.25)
    alone = paired_drop(teacher[40:80], student[:, 40:80])
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
    labels = np.repeat([0, 1], [400, 100])
    student, baseline = np.zeros((1, 500), dtype=bool), np.zeros((1, 500), dtype=bool)
    student[0, :40] = student[0, 400:420] = True
    baseline[0, 420:430] = True
    sd = math.sqrt(0.1 * 0.9 / 399 + (0.3 - 0.1**2) / 99) / 2
    gain, interval = balanced_gain(student, baseline, labels, draws=20_000)
    assert gain == pytest.approx(0.1)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * sd, rel=0.03)


def test_balanced_gain_of_one_class_is_the_gain():
    rng = np.random.default_rng(3)
    student, baseline = rng.random((3, 400)) < 0.9, rng.random((3, 400)) < 0.85
    gain, interval = balanced_gain(student, baseline, np.zeros(400, dtype=int), draws=8000)
    plain = paired_gain(student, baseline, draws=8000)
    assert gain == pytest.approx(plain.gain)
    assert (interval.low, interval.high) == pytest.approx(
        (plain.ci95.low, plain.ci95.high), abs=2e-3
    )


def test_balanced_gain_draws_seeds_too():
    student = np.array([[True] * 60, [True] * 60, [False] * 60])
    _, interval = balanced_gain(student, ~student, np.repeat([0, 1, 2], 20))
    assert (interval.low, interval.high) == pytest.approx((-1, 1))


def test_balanced_gain_is_deterministic_and_knows_no_difference():
    rng = np.random.default_rng(4)
    one, other = rng.random((2, 90)) < 0.9, rng.random((2, 90)) < 0.8
    labels = np.repeat([0, 1, 2], 30)
    assert balanced_gain(one, other, labels, seed=1) == balanced_gain(one, other, labels, seed=1)
    gain, interval = balanced_gain(one, one, labels)
    assert (gain, interval.low, interval.high) == (0, 0, 0)


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
    for trial in range(trials):
        x = rng.normal(0, 2, len(labels)) + shift[labels]
        luck = rng.normal(0, spread, (2, seeds, 1))
        student = rng.random((seeds, len(labels))) < sigmoid(x + 0.3 + luck[0])
        baseline = rng.random((seeds, len(labels))) < sigmoid(x + luck[1])
        _, interval = balanced_gain(student, baseline, labels, draws=300, seed=trial)
        held += interval.low <= truth <= interval.high
    assert held / trials >= 0.91


def test_unequal_shapes_are_refused():
    ones = np.ones((2, 6), dtype=bool)
    for student, baseline, labels in (
        (ones, ones[:1], np.zeros(6, dtype=int)),
        (ones, ones, np.zeros(5, dtype=int)),
        (ones[:0], ones[:0], np.zeros(6, dtype=int)),
    ):
        with pytest.raises(ValueError, match="wanted"):
            balanced_gain(student, baseline, labels)
