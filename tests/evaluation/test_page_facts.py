"""What report.html shows of answers: reduced, counted, picked."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from kdcli.evaluation import metrics, per_class
from kdcli.evaluation.page_facts.condensed import (
    condensed,
    confusion,
    farthest_apart,
    most_confused,
    reliability,
    surely_wrong,
    telling,
)
from kdcli.evaluation.page_facts.pictures import MOST_BYTES, SIDE, drawer, under, uri
from kdcli.evaluation.temperature import examples, soften

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 7, 300)
NAMES = tuple("abcdefg")


def _logits(skill: float, seeds: int = 2) -> np.ndarray:
    found = RANDOM.normal(size=(seeds, len(LABELS), 7)).astype(np.float32)
    found[:, np.arange(len(LABELS)), LABELS] += skill
    return found


STUDENT, BASELINE = _logits(1.5), _logits(1.0)


def test_bins_give_the_reports_calibration_error() -> None:
    one = STUDENT[:1]
    bins = reliability(condensed(one, LABELS), LABELS)
    gaps = [b.share * abs(b.confidence - b.accuracy) for b in bins]
    assert sum(gaps) == pytest.approx(metrics.ece(one[0], LABELS), abs=1e-6)
    assert sum(b.share for b in bins) == pytest.approx(1)


def test_the_diagonal_of_the_confusion_is_the_recall() -> None:
    found = condensed(STUDENT, LABELS)
    matrix = confusion(found, LABELS, (*NAMES, "no image"))
    recalls = per_class.recalls(found.right(LABELS), LABELS)
    assert [matrix.shares[i][i] for i in range(7)] == pytest.approx([r.recall for r in recalls])
    assert all(sum(filter(None, row)) == pytest.approx(1) for row in matrix.shares[:7])
    assert set(matrix.shares[7]) == {None}


def test_pairs_are_those_of_the_matrix() -> None:
    found = condensed(STUDENT, LABELS)
    pairs = most_confused(found, found, LABELS, NAMES, 5)
    matrix = confusion(found, LABELS, NAMES).shares
    counts = [round(pair.student * pair.images * len(STUDENT)) for pair in pairs]
    assert counts == sorted(counts, reverse=True)
    for pair in pairs:
        cell = matrix[NAMES.index(pair.shown)][NAMES.index(pair.taken_for)]
        assert pair.student == pair.teacher == pytest.approx(cell)


def test_images_are_those_that_one_alone_gets_right() -> None:
    ours, theirs = condensed(STUDENT, LABELS), condensed(BASELINE, LABELS)
    picked = farthest_apart(ours, theirs, LABELS, 12)
    gained = ours.right(LABELS)[0] & ~theirs.right(LABELS)[0]
    lost = theirs.right(LABELS)[0] & ~ours.right(LABELS)[0]
    assert [bool(gained[i]) for i in picked] == [True] * 6 + [False] * 6
    assert all(gained[i] or lost[i] for i in picked)
    assert len({LABELS[i] for i in picked[:6]}) == 6, "no class twice before its turn"
    assert farthest_apart(ours, ours, LABELS, 12) == []


def test_the_surest_of_the_wrong_come_first() -> None:
    found = condensed(STUDENT, LABELS)
    picked = surely_wrong(found, LABELS, 12)
    assert not found.right(LABELS)[0, picked].any()
    assert found.sure[0, picked].tolist() == sorted(found.sure[0, picked], reverse=True)


def test_examples_are_those_of_kd_inspect() -> None:
    wanted = examples(soften(STUDENT[0], 1.0), LABELS)
    found = telling(condensed(STUDENT, LABELS), LABELS)
    assert found == [(one.index, one.why) for one in wanted]


class _Noise:
    """Images that no file holds in few bytes."""

    def read(self, i: int) -> np.ndarray:
        return np.random.default_rng(i).integers(0, 256, (300, 400, 3), np.uint8)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_pictures_are_small(size: int) -> None:
    draw = drawer(_Noise(), size, 1.0)  # type: ignore[arg-type]
    for pixels in (draw(0), under(draw(0), np.eye(4, dtype=np.float32))):
        assert pixels.shape[0] <= SIDE
        head, _, data = uri(pixels).partition(",")
        raw = base64.b64decode(data)
        assert len(raw) <= MOST_BYTES
        assert Image.open(io.BytesIO(raw)).size == pixels.shape[:2]
        assert head in ("data:image/png;base64", "data:image/jpeg;base64")
