"""All pairs, tested together; who is best; the Pareto front."""

from types import SimpleNamespace

import numpy as np
import pytest

from kdcli.evaluation.contenders import Contender, together
from kdcli.evaluation.predictions import Tested as Images
from kdcli.evaluation.ranking import Seeds, all_pairs, front, ranked, side_by_side
from kdcli.evaluation.significance import holm, mcnemar
from kdcli.report.candidates import short_names


def right(images: int, *wrong: range) -> Seeds:
    rows = np.ones((len(wrong), images), bool)
    for row, places in zip(rows, wrong, strict=True):
        row[list(places)] = False
    return Seeds(rows, tuple(range(len(wrong))))


def test_holm_is_as_published() -> None:
    # Holm 1979: smallest times 4, the next times 3, 2, 1; never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_pairs_are_tested_together() -> None:
    a, b, c = right(200, range(0)), right(200, range(12)), right(200, range(40))
    pairs = all_pairs([a, b, c])
    assert [(pair.one, pair.other) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    alone = [mcnemar(x.right[0], y.right[0]) for x, y in ((a, b), (a, c), (b, c))]
    assert [pair.p_value for pair in pairs] == pytest.approx(holm(alone))
    assert pairs[1].gain == pytest.approx(0.2)
    assert pairs[0].ci95.low < 0.06 < pairs[0].ci95.high


def test_who_is_best_who_cannot_be_told_from_it_who_is_behind() -> None:
    candidates = [right(200, range(40)), right(200, range(2)), right(200, range(3))]
    found = ranked(candidates, all_pairs(candidates))
    assert (found.best, found.alike, found.behind) == (1, (2,), (0,))


def test_of_many_candidates_a_difference_must_be_larger() -> None:
    two = [right(200, range(0)), right(200, range(7))]
    assert all_pairs(two)[0].differs
    assert not all_pairs([*two, *two, *two])[0].differs


def test_models_are_paired_by_seed_else_in_order_and_one_stands_beside_each() -> None:
    one = Seeds(np.eye(3, 5, dtype=bool), (0, 1, 2))
    other = Seeds(np.eye(3, 5, dtype=bool)[::-1].copy(), (2, 1, 7))
    mine, theirs = side_by_side(one, other)
    assert mine.tolist() == one.right[[1, 2]].tolist()
    assert theirs.tolist() == other.right[[1, 0]].tolist()
    strangers = Seeds(other.right, (5, 6, 7))
    assert side_by_side(one, strangers)[1].tolist() == other.right.tolist()
    single = Seeds(one.right[:1], (0,))
    assert side_by_side(single, other)[0].tolist() == [one.right[0].tolist()] * 3


def test_the_front_is_who_nobody_beats_in_everything() -> None:
    accuracies = [0.9, 0.8, 0.8, 0.7]
    costs = [(10.0, 5.0), (5.0, 1.0), (6.0, 1.0), (7.0, 0.5)]
    assert front(accuracies, costs) == [True, True, False, True]
    unknown = [(10.0, 5.0), (5.0, 1.0), (6.0, 1.0), (7.0, None)]
    assert front(accuracies, unknown) == [True, True, False, False], "size alone is left"
    assert front([0.9, 0.9], [(1.0,), (1.0,)]) == [True, True], "equals are both on it"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["kd-r18-m-s0-aa", "dkd-r18-m-s0-bb"], ["kd", "dkd"]),
        (["kd-r18-m-s0-aa", "kd-r18-m-s0-cc", "at-r18-m-s0-bb"], ["kd-aa", "kd-cc", "at"]),
        (["a/report.json", "b/report.json"], ["a/report.json", "b/report.json"]),
        (["a/kd-x", "kd-y-kd"], ["x", "y"]),
    ],
)
def test_candidates_are_called_by_what_tells_them_apart(paths: list[str], names: list[str]) -> None:
    assert short_names(paths) == names


def test_two_models_of_one_seed_are_two_candidates() -> None:
    rng, labels = np.random.default_rng(0), np.zeros(20, np.int64)
    kind = SimpleNamespace(kind="same")

    def contender(name: str, seed: int) -> Contender:
        logits = rng.normal(size=(1, 20, 3)).astype(np.float32)
        images = Images(tuple(map(str, range(20))), labels)
        costs = {"params": 1, "macs": None}
        return Contender(
            (name,), "student", "m", images, ("a", "b", "c"), logits, (seed,), costs, spec=kind
        )

    one, again, further = contender("one", 0), contender("again", 0), contender("further", 1)
    assert [c.typed for c in together([one, further])] == [("one", "further")]
    assert [c.typed for c in together([one, again])] == [("one",), ("again",)]
    assert [c.typed for c in together([one, one])] == [("one", "one")]


def test_times_within_the_noise_decide_no_front() -> None:
    costs = [(5.0, 0.0990), (5.0, 0.0995), (5.0, 0.0500)]
    assert front([0.8, 0.9, 0.7], costs, alike=(0.0, 0.05)) == [False, True, True]
    assert front([0.8, 0.9, 0.7], costs) == [True, True, True]
