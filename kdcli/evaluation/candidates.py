"""The record of a comparison of many: a row per candidate, all pairs, who is best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdcli.evaluation.contenders import Contender, differences
from kdcli.evaluation.measure import range_of
from kdcli.evaluation.ranking import Pair, all_pairs, front, ranked
from kdcli.report.candidates import Candidate, Compared, PairPart, sentence, short_names
from kdcli.report.file import distillation_score
from kdcli.report.model import ModelPart
from kdcli.report.schema import imitated

NOISE = 0.05
"""Of two timings on a machine that does little else; a front that it decides is none."""
Times = Mapping[str, tuple[int, float]]
"""Bytes of the file and milliseconds, by what was typed."""


@dataclass(frozen=True)
class Above:
    """The teacher that sizes are compared with."""

    params: int
    accuracy: float


def compared(
    contenders: Sequence[Contender],
    against: int,
    times: Times,
    *,
    data: str,
    size_priority: float | None = None,
    notes: Sequence[str] = (),
    measured_on: str | None = None,
) -> Compared:
    """Of candidates that were asked about the same images; gains are over that at `against`;
    `size_priority` is the a of distillation scores, None: as the recipe of each has it."""
    names = [one.typed[0] for one in contenders]
    words, parts = short_names(names), [one.part for one in contenders]
    seeds = [one.for_ranking for one in contenders]
    pairs = all_pairs(seeds)
    found = ranked(seeds, pairs)
    timed = [times.get(name, (None, None)) for name in names]
    on_front = front(
        [one.accuracy for one in seeds],
        [(part.params, milliseconds) for part, (_, milliseconds) in zip(parts, timed, strict=True)],
        alike=(0.0, NOISE),
    )
    apart = differences(contenders)
    rows = [
        _candidate(i, contenders, parts, pairs, against, timed[i], size_priority).model_copy(
            update={"differs": apart[i], "on_front": bool(on_front[i])}
        )
        for i in range(len(contenders))
    ]
    alike, behind = ([names[i] for i in places] for places in (found.alike, found.behind))
    return Compared(
        data=data,
        test_images=len(contenders[0].tested.ids),
        against=names[against],
        candidates=rows,
        pairs=[_pair(pair, names) for pair in pairs],
        best=names[found.best],
        alike=alike,
        behind=behind,
        front=[name for name, on in zip(names, on_front, strict=True) if on],
        sentence=sentence(
            words[found.best],
            [words[i] for i in found.alike],
            [words[i] for i in found.behind],
        ),
        notes=list(notes),
        measured_on=measured_on,
    )


def _candidate(
    place: int,
    contenders: Sequence[Contender],
    parts: Sequence[ModelPart],
    pairs: Sequence[Pair],
    against: int,
    timed: tuple[int | None, float | None],
    size_priority: float | None,
) -> Candidate:
    one, part = contenders[place], parts[place]
    assert part.accuracy is not None
    assert part.accuracy_ci95 is not None
    pair = next((pair for pair in pairs if {pair.one, pair.other} == {place, against}), None)
    over = _turned(pair, place) if pair else None
    above = _above(one, contenders, parts)
    priority = one.settings.size_priority if size_priority is None else size_priority
    return Candidate(
        run=one.typed[0],
        runs=list(one.typed),
        role=one.role,
        name=one.name,
        seeds=list(one.seeds),
        accuracy=part.accuracy,
        accuracy_ci95=part.accuracy_ci95,
        accuracy_sd=part.accuracy_sd,
        gain=over.gain if over else None,
        gain_ci95=over.gain_ci95 if over else None,
        p_value=over.p_value if over else None,
        params=part.params,
        macs=part.macs,
        file_bytes=timed[0],
        latency_ms=timed[1],
        size_reduction=1 - part.params / above.params if above else None,
        distillation_score=above
        and distillation_score(part.params, above.params, part.accuracy, above.accuracy, priority),
        on_front=False,
        differs={},
    )


def _above(
    one: Contender, contenders: Sequence[Contender], parts: Sequence[ModelPart]
) -> Above | None:
    """The largest teacher among the candidates, else the one that its own report has."""
    teachers = [part for c, part in zip(contenders, parts, strict=True) if c.role == "teacher"]
    if teachers:
        largest = max(teachers, key=lambda part: part.params)
        return Above(largest.params, largest.accuracy or 0.0) if largest.params else None
    models = one.report.models if one.report else {}
    part = models.get(imitated(models) or "")
    known = part is not None and part.params and part.accuracy is not None
    return Above(part.params, part.accuracy or 0.0) if part and known else None


def _turned(pair: Pair, first: int) -> PairPart:
    """With `first` as the one that is ahead or not."""
    gain, low, high = pair.gain, pair.ci95.low, pair.ci95.high
    if pair.one != first:
        gain, low, high = -gain, -high, -low
    ends = range_of(pair.ci95).model_copy(update={"low": low, "high": high})
    return PairPart(
        one="", other="", gain=gain, gain_ci95=ends, p_value=pair.p_value, differ=int(pair.differs)
    )


def _pair(pair: Pair, names: Sequence[str]) -> PairPart:
    found = _turned(pair, pair.one)
    return found.model_copy(update={"one": names[pair.one], "other": names[pair.other]})
