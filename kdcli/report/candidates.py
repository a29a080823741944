"""The record of `kd compare`: several models on the same test images, `"schema": 1`.

Accuracies are fractions of test; what cannot be said is null.
"""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from kdcli.core.errors import DamagedFile
from kdcli.core.text import short, signed, size_in_words, some, span
from kdcli.report.model import Change, ChangeRange, Part, Ratio, Share, ShareRange
from kdcli.report.survey import HEADS as OF_SURVEY
from kdcli.report.survey import Survey, figures

OWN = "each one's own baseline"
"""In the place of whom gains are over."""


class Candidate(Part):
    """A model, or the models that differ in their seed alone."""

    run: str
    """As it was typed; of several seeds the first."""
    runs: list[str]
    """All of them."""
    role: str
    """`student`, `teacher`, `baseline`, ...; `file` of an exported one."""
    name: str
    seeds: list[int]
    accuracy: Share
    """The mean over seeds."""
    accuracy_ci95: ShareRange
    accuracy_sd: Share | None
    gain: Change | None
    """Over `against`; null of that one itself."""
    gain_ci95: ChangeRange | None
    p_value: Share | None
    """After Holm, over all pairs; over each one's own baseline, over all candidates."""
    params: int
    macs: int | None
    file_bytes: int | None
    """Of the fp32 ONNX file; of an exported file its own."""
    latency_ms: float | None
    """Median of one image in onnxruntime, one thread, all side by side."""
    size_reduction: Ratio | None
    """1 - params / those of the teacher: the largest among these candidates, else the model's own;
    null where there is none."""
    distillation_score: Ratio | None
    """Against the same teacher; lower is better."""
    on_front: bool
    """1: nobody here is at least as accurate, as small and as fast, and better in one of these."""
    differs: dict[str, str]
    """What it was made with, of the keys in which these candidates differ."""


class PairPart(Part):
    """Two of them on the same images."""

    one: str
    other: str
    gain: Change
    """one - other."""
    gain_ci95: ChangeRange
    """Of this pair alone."""
    p_value: Share
    """After Holm, over all pairs."""
    differ: int
    """1: they can be told apart, all pairs considered."""


class Compared(Part):
    """Who is best."""

    data: str
    test_images: int
    against: str
    """Whom gains are over; `OWN` in the table of a sweep."""
    candidates: list[Candidate]
    pairs: list[PairPart]
    best: str
    alike: list[str]
    """Who cannot be told from it."""
    behind: list[str]
    front: list[str]
    sentence: str
    notes: list[str]
    measured_on: str | None
    """Where the latencies come from."""
    survey: Survey | None = None
    """Of --survey."""
    plot: str | None = None
    """The file of --plot."""
    damaged: list[str] = []
    """What could not be compared, a line with its path each."""

    @property
    def failure(self) -> DamagedFile | None:
        """Told once the others have been compared."""
        if not self.damaged:
            return None
        return DamagedFile("; ".join(self.damaged), "all others are compared")

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return self.model_dump(mode="json")


HEADS = (
    *("seeds", "accuracy", "95% interval", "sd", "gain (95%)", "p (Holm)"),
    *("params", "MACs", "file", "ms", "size", "distillation score", "front"),
)


Table = tuple[list[str], list[list[str]]]
"""Heads, rows."""


def table(found: Compared) -> Table:
    """A row per candidate, behind its name what it was made with of what differs; columns of which
    nobody knows anything are left out."""
    return _table(found, HEADS, {one.run: _figures(one) for one in found.candidates})


def survey_table(found: Compared) -> Table:
    """The same of its survey, of students alone."""
    assert found.survey
    return _table(found, OF_SURVEY, {one.run: figures(one) for one in found.survey.accounts})


def _table(found: Compared, heads: Sequence[str], cells: dict[str, list[str]]) -> Table:
    keys = list(dict.fromkeys(key for one in found.candidates for key in one.differs))
    names = short_names([one.run for one in found.candidates])
    heads = ["candidate", *keys, *heads]
    rows = [
        [name, *(one.differs.get(key, "-") for key in keys), *cells[one.run]]
        for name, one in zip(names, found.candidates, strict=True)
        if one.run in cells
    ]
    kept = [i for i in range(len(heads)) if i == 0 or any(row[i] != "-" for row in rows)]
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _figures(one: Candidate) -> list[str]:
    """Cells below HEADS, from the accuracy on."""
    return [
        str(len(one.seeds)),
        f"{one.accuracy:.4f}",
        f"{one.accuracy_ci95.low:.3f} to {one.accuracy_ci95.high:.3f}",
        "-" if one.accuracy_sd is None else f"{one.accuracy_sd:.4f}",
        _gain(one),
        "-" if one.p_value is None else f"{one.p_value:.3g}",
        short(one.params),
        "-" if one.macs is None else short(one.macs),
        "-" if one.file_bytes is None else size_in_words(one.file_bytes),
        "-" if one.latency_ms is None else f"{one.latency_ms:.2f}",
        "-" if one.size_reduction is None else signed(-100 * one.size_reduction, ".1f") + "%",
        "-" if one.distillation_score is None else f"{one.distillation_score:.3f}",
        "yes" if one.on_front else "-",
    ]


def _gain(one: Candidate) -> str:
    if one.gain is None or one.gain_ci95 is None:
        return "-"
    return f"{signed(100 * one.gain)} ({span(one.gain_ci95.low, one.gain_ci95.high)})"


def short_names(paths: Sequence[str]) -> list[str]:
    """What tells them apart: of their folders' names the words that not all of them share, as few
    of these as will do; else the whole names, or the paths."""
    last = [PurePath(path).name or path for path in paths]
    words = [name.split("-") for name in last]
    shared = set(words[0]).intersection(*words[1:])
    own = [[word for word in some if word not in shared] for some in words]
    short = ["-".join(_fewest(some, own)) for some in own]
    alone = len(set(short)) == len(short) and all(short)
    return short if alone else last if len(set(last)) == len(last) else list(paths)


def _fewest(words: list[str], everyone: list[list[str]]) -> list[str]:
    """Its first words, so many that nobody else begins with them."""
    for count in range(1, len(words)):
        if sum(other[:count] == words[:count] for other in everyone) == 1:
            return words[:count]
    return words


MANY = 8
"""Names of a kind, from which on a sentence has the first ones alone."""


def sentence(best: str, alike: list[str], behind: list[str]) -> str:
    """Who is best, who cannot be told from it, who is behind; and of how many."""
    count = 1 + len(alike) + len(behind)
    if count == 1:
        return f"{best}: nothing to compare it with."
    if alike:
        said = f"{best} is ahead, but {_names(alike)} cannot be told from it"
    else:
        said = f"{best} is best"
    if behind:
        said += f"; {_names(behind)} {'is' if len(behind) == 1 else 'are'} behind"
    if count == 2:
        return f"{said}."
    return (
        f"{said}. Of {count} candidates that were looked at on test, the best looks better than "
        "it is: images that nobody has looked at yet would tell by how much."
    )


def _names(names: list[str]) -> str:
    """Of many the first; all are in the table."""
    if len(names) > MANY:
        return some(names, MANY - 2)
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
