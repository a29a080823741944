"""Answers to all test images, reduced to what a page asks of them; pure.

S seeds, N images, K classes. A role's logits may take gigabytes: what is kept takes some bytes an
image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Floats, Indices
from kdcli.evaluation.answers import Logits
from kdcli.report.page.facts import BINS, Answer, Bin, Confused, Confusion

AT_ONCE = 1 << 22
"""Logits that are looked at together: 16 MB of float32."""


@dataclass(frozen=True, eq=False)
class Condensed:
    """What one role answered."""

    top: Indices
    """(S, N) the likeliest class."""
    sure: Floats
    """(S, N) its probability."""
    margin: Floats
    """(N,) how far the first seed's second likeliest is behind."""
    on_label: Floats
    """(N,) the first seed's probability of the image's own class."""

    def right(self, labels: Indices) -> Bools:
        """(S, N)."""
        found: Bools = self.top == labels
        return found

    def answer(self, who: str, image: int, labels: Indices, classes: Sequence[str]) -> Answer:
        """The first seed's, to one image."""
        top = int(self.top[0, image])
        sure = float(self.sure[0, image])
        return Answer(who, classes[top], sure, top == labels[image])


def condensed(logits: Logits, labels: Indices) -> Condensed:
    """Of (S, N, K) logits."""
    seeds, images, classes = logits.shape
    top = logits.argmax(2)
    sure = np.empty((seeds, images), np.float32)
    margin, on_label = np.empty(images, np.float32), np.empty(images, np.float32)
    step = max(1, AT_ONCE // classes)
    for seed in range(seeds):
        for start in range(0, images, step):
            part = slice(start, start + step)
            powers = logits[seed, part] - logits[seed, part].max(axis=1, keepdims=True)
            np.exp(powers, out=powers)
            total = powers.sum(axis=1)
            sure[seed, part] = 1 / total
            if seed == 0:
                second = np.partition(powers, -2, axis=1)[:, -2]
                margin[part] = (1 - second) / total
                on_label[part] = powers[np.arange(len(powers)), labels[part]] / total
    return Condensed(top, sure, margin, on_label)


def reliability(found: Condensed, labels: Indices) -> tuple[Bin, ...]:
    """Of all seeds' answers, the bins of `metrics.ece` that hold any."""
    right, sure = found.right(labels).ravel(), found.sure.ravel()
    place = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    confidence = np.bincount(place, weights=sure, minlength=BINS)
    accuracy = np.bincount(place, weights=right, minlength=BINS)
    return tuple(
        Bin(float(confidence[i] / n), float(accuracy[i] / n), float(n / len(sure)))
        for i, n in enumerate(count.tolist())
        if n
    )


# Classes -----------------------------------------------------------------------------------------


def confusion(found: Condensed, labels: Indices, classes: Sequence[str]) -> Confusion:
    """The mean over seeds of every class's row."""
    shares = _shares(found, labels, len(classes))
    rows = (
        tuple(None if np.isnan(cell) else float(cell) for cell in row) for row in shares.tolist()
    )
    return Confusion(tuple(classes), tuple(rows))


def most_confused(
    student: Condensed,
    teacher: Condensed | None,
    labels: Indices,
    classes: Sequence[str],
    count: int,
) -> tuple[Confused, ...]:
    """The pairs that the student confuses on most images, of equals the first."""
    right, k = student.right(labels), len(classes)
    wrong = (labels * k + student.top)[~right]  # of many classes a matrix would take gigabytes
    cells, counts = np.unique(wrong, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:count]
    images = np.bincount(labels, minlength=k)
    found = []
    for cell, wrongly in zip(cells[most].tolist(), counts[most].tolist(), strict=True):
        shown, other = divmod(cell, k)
        of_class = labels == shown
        also = None if teacher is None else float((teacher.top[:, of_class] == other).mean())
        share = wrongly / (int(images[shown]) * len(student.top))
        found.append(Confused(classes[shown], classes[other], int(images[shown]), share, also))
    return tuple(found)


def _counts(found: Condensed, labels: Indices, classes: int) -> Indices:
    """(K, K), over all seeds; row: the image's class."""
    cells = (labels * classes + found.top).ravel()
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def _shares(found: Condensed, labels: Indices, classes: int) -> Doubles:
    """(K, K) of each row; NaN without test images."""
    counts = _counts(found, labels, classes)
    total = counts.sum(axis=1, keepdims=True)
    empty = np.full(counts.shape, np.nan)
    shares: Doubles = np.divide(counts, total, where=total > 0, out=empty)
    return shares


# Images worth a look -----------------------------------------------------------------------------


def farthest_apart(
    student: Condensed, baseline: Condensed, labels: Indices, count: int
) -> list[int]:
    """Images that one of the two gets right, of the first seed; half of each kind where there are
    as many, those first whose own class the two hold for likely most differently; no class has more
    than its turn."""
    ours, theirs = student.right(labels)[0], baseline.right(labels)[0]
    apart = student.on_label - baseline.on_label
    gained = _in_turn(np.flatnonzero(ours & ~theirs), -apart, labels)
    lost = _in_turn(np.flatnonzero(theirs & ~ours), apart, labels)
    of_lost = min(len(lost), max(count // 2, count - len(gained)))
    return gained[: count - of_lost] + lost[:of_lost]


def surely_wrong(student: Condensed, labels: Indices, count: int) -> list[int]:
    """Images that the first seed is surest of, and wrong."""
    wrong = np.flatnonzero(~student.right(labels)[0])
    return [int(i) for i in wrong[np.argsort(-student.sure[0, wrong], kind="stable")][:count]]


def telling(found: Condensed, labels: Indices) -> list[tuple[int, str]]:
    """As `temperature.examples`: two sure and right, one unsure, one wrong."""
    right = found.right(labels)[0]
    by_margin = np.argsort(-found.margin, kind="stable")
    good, bad = by_margin[right[by_margin]].tolist(), by_margin[~right[by_margin]].tolist()
    chosen = [(i, "sure") for i in good[:1]]
    chosen += [(i, "sure") for i in good if labels[i] != labels[good[0]]][:1]
    taken = {i for i, _ in chosen}
    chosen += [(i, "unsure") for i in reversed(good) if i not in taken][:1]
    return chosen + [(i, "wrong") for i in bad[:1]]


def _in_turn(images: Indices, score: Floats, labels: Indices) -> list[int]:
    """By rising score, one of each class, then the second of each, ..."""
    turns: dict[int, int] = {}
    ranked = []
    for place, i in enumerate(images[np.argsort(score[images], kind="stable")].tolist()):
        label = int(labels[i])
        turns[label] = turns.get(label, 0) + 1
        ranked.append((turns[label], place, i))
    return [i for _, _, i in sorted(ranked)]
