"""The new model against the release, on images whose answers are written down here."""

from typing import Any

import numpy as np
import pytest

from kdcli.core.errors import UnfitTeacher
from kdcli.evaluation import predictions
from kdcli.evaluation.against import against, before_now, flips
from kdcli.evaluation.contenders import Contender, lined_up
from kdcli.report.against import COSTS, against_lines, against_sentence

CLASSES = ("cat", "dog", "owl")
LABELS = np.array([0, 0, 1, 1, 2, 2])
BEFORE, NOW = [0, 0, 1, 1, 2, 1], [0, 1, 1, 0, 2, 2]
"""Two right before and wrong now, one the other way round."""


def _tested(labels: Any = LABELS, ids: str = "abcdef", first: int = 0) -> predictions.Tested:
    sums = np.arange(first, first + 2 * len(labels)).reshape(-1, 2)
    return predictions.Tested(tuple(ids), np.asarray(labels), sums)


def _one(*answers: list[int], typed: str = "it", **more: Any) -> Contender:
    logits = np.stack([np.eye(3, dtype=np.float32)[row] for row in answers])
    known: dict[str, Any] = {"tested": _tested(), "classes": CLASSES} | more
    seeds = tuple(range(len(answers)))
    return Contender((typed,), "student", "m", logits=logits, seeds=seeds, costs={}, **known)


def _against(now: Contender, before: Contender, **costs: Any) -> Any:
    known = {key: before_now(None, None) for key in COSTS} | costs
    return against(now, before, known, same_model=False)


def test_flips_are_right_before_and_wrong_now() -> None:
    found = flips(_one(NOW), _one(BEFORE))
    assert (found.count, found.fixed) == (2, 1)
    assert [(one.image, one.label, one.now) for one in found.images] == [
        ("b", "cat", "dog"),
        ("d", "dog", "cat"),
    ]


def test_of_several_seeds_flips_are_those_of_the_first_and_the_gain_that_of_all() -> None:
    found = _against(_one(NOW, BEFORE), _one(BEFORE, BEFORE))
    assert found.flips.count == 2
    assert found.gain == pytest.approx(-1 / 12)
    assert found.seeds == 2


def test_gain_classes_and_ratios() -> None:
    found = _against(_one(NOW), _one(BEFORE, typed="v1"), file_bytes=before_now(200, 150))
    assert found.gain == pytest.approx(-1 / 6)
    assert found.accuracy == pytest.approx(5 / 6)
    assert found.gain_ci95.low < found.gain < found.gain_ci95.high
    assert [(one.name, one.drop) for one in found.classes_lost] == [("cat", 0.5), ("dog", 0.5)]
    assert found.file_bytes.ratio == 0.75
    assert found.latency_ms.ratio is None
    assert against_sentence(found).startswith("Cannot be told from v1: -16.7 points")
    lines = "\n".join(against_lines(found))
    assert "2 images of 6 right before and wrong now, 1 wrong before and right now" in lines
    assert "file: 200 B -> 150 B, x 0.75 (-25.0%)" in lines


def test_images_are_matched_by_content_and_classes_by_name() -> None:
    """A record of the same images under other names, in another order, its classes as well."""
    order, turned = np.array([3, 1, 0, 2, 5, 4]), np.array([2, 0, 1])  # owl, cat, dog
    mine = _tested()
    assert mine.sums is not None
    inverse = np.argsort(turned)
    theirs = predictions.Tested(tuple("uvwxyz"), inverse[LABELS][order], mine.sums[order])
    kept = _one(
        inverse[np.array(BEFORE)][order].tolist(),
        tested=theirs,
        classes=tuple(CLASSES[i] for i in turned),
    )
    found = lined_up(kept, CLASSES, mine)
    assert found is not None
    assert found.logits.argmax(2).tolist() == [BEFORE]
    assert found.tested is mine


def test_other_images_labels_or_classes_do_not_line_up() -> None:
    assert lined_up(_one(NOW, tested=_tested(first=2)), CLASSES, _tested()) is None
    relabelled = _tested(labels=[0, 0, 1, 1, 2, 1], ids="uvwxyz")
    assert lined_up(_one(NOW, tested=relabelled), CLASSES, _tested()) is None
    with pytest.raises(UnfitTeacher):
        lined_up(_one(NOW), ("cat", "dog", "elk"), _tested())
