"""The sections of a page of several candidates, in their order."""

from collections.abc import Mapping, Sequence

from kdcli.core.text import counted, signed, span
from kdcli.report.candidates import Candidate, Compared, PairPart, survey_table, table
from kdcli.report.page.candidate_plots import best_first, learning, looks, trade_offs
from kdcli.report.page.facts import Curve
from kdcli.report.page.section import Cell, Details, Matrix, Section, Table
from kdcli.report.page.svg import shorter
from kdcli.report.page.trade_off import NAMED
from kdcli.report.survey import scores

LONG = 60
"""Characters of a cell."""
IN_NAME = ("seeds", "role", "model")
"""What differs that stands below the name."""
FIRST = 4
"""Columns of what differs in front of the figures."""


def compared_sections(found: Compared, curves: Mapping[str, Curve], most: int) -> list[Section]:
    """All of them; of at most so many candidates."""
    shown = best_first(found, most)
    return [
        _candidates(found, shown),
        _trade_off(found, shown),
        _pairs(found, shown),
        _learning(found, curves),
    ]


def _candidates(found: Compared, shown: Sequence[Candidate]) -> Section:
    look = looks(found)
    heads, rows = _arranged(found)
    cells = {one.run: row for one, row in zip(found.candidates, rows, strict=True)}
    lines = [[_who(one, look[one.run].name), *cells[one.run]] for one in shown]
    lead = (
        f"Asked about {counted(found.test_images, 'test image')} of {found.data}; the best first. "
        f"Gains are in points, over {look[found.against].name}."
    )
    if len(shown) < len(found.candidates):
        lead += f" Here the front and the best, {len(shown)} of {len(found.candidates)}."
    typed = [[look[one.run].name, ", ".join(one.runs)] for one in shown]
    folded = [Details("Which runs they are", Table([], typed))]
    if found.survey:
        survey = _short(*survey_table(found))
        folded.append(Details("Beside their teachers", survey, (scores(found.survey),)))
    return Section(
        "candidates",
        "Candidates",
        lead,
        _short(["", *heads], lines),
        tuple(found.notes),
        details=tuple(folded),
    )


def _arranged(found: Compared) -> tuple[list[str], list[list[str]]]:
    """The table without its first column: intervals below what they are of, whether the best is
    decided; of what differs some columns in front, the others at the end."""
    heads, rows = table(found)
    columns = [[head, *(row[i] for row in rows)] for i, head in enumerate(heads)]
    figures: list[list[str]] = []
    differing: list[list[str]] = []
    keys = {key for one in found.candidates for key in one.differs}
    for head, *cells in columns[1:]:
        if head in IN_NAME:
            continue
        if head in keys:
            differing.append([head.replace(".", ".\u200b"), *cells])
        elif head == "gain (95%)":
            figures.append(["gain", *(cell.replace(" (", "\n").rstrip(")") for cell in cells)])
        elif head == "95% interval":
            before = figures[-1]
            figures[-1] = [before[0], *map(_below, before[1:], cells)]
        else:
            figures.append([head, *cells])
    standing = ["standing", *(_standing(found, one.run) for one in found.candidates)]
    kept = [*differing[:FIRST], *figures, standing, *differing[FIRST:]]
    return [head for head, *_ in kept], [
        list(row) for row in zip(*(c for _, *c in kept), strict=True)
    ]


def _below(cell: str, interval: str) -> str:
    return cell if interval == "-" else f"{cell}\n{interval}"


def _standing(found: Compared, run: str) -> str:
    return "best" if run == found.best else "behind" if run in found.behind else "undecided"


def _who(one: Candidate, name: str) -> str:
    seeds = f", {counted(len(one.seeds), 'seed')}" if len(one.seeds) > 1 else ""
    return f"{shorter(name, LONG)}\n{one.role} {one.name}{seeds}"


def _short(heads: list[str], rows: list[list[str]]) -> Table:
    return Table(heads, [[first, *(shorter(cell, LONG) for cell in row)] for first, *row in rows])


def _trade_off(found: Compared, shown: Sequence[Candidate]) -> Section:
    plots = trade_offs(found, shown)
    timed = any(one.latency_ms for one in shown)
    lead = "" if timed else "Nothing was timed: leave --no-measure out for that."
    return Section("trade-off", "Accuracy against size and time", lead, plots=tuple(plots))


def _pairs(found: Compared, shown: Sequence[Candidate]) -> Section:
    ranked = best_first(found, len(found.candidates))[:NAMED]
    look = looks(found)
    cells = {(pair.one, pair.other): _cell(pair, 1) for pair in found.pairs}
    cells |= {(pair.other, pair.one): _cell(pair, -1) for pair in found.pairs}
    rows = [[cells.get((row.run, one.run), Cell("")) for one in ranked] for row in ranked]
    lead = (
        "Row minus column, in points. Filled and bold: the two can be told apart, after Holm over "
        f"{counted(len(found.pairs), 'pair')}. Grey: undecided."
    )
    if len(ranked) < len(found.candidates):
        lead += f" The {len(ranked)} most accurate of {len(found.candidates)}."
    names = [look[one.run].name for one in ranked]
    runs = {one.run for one in ranked}
    among = [pair for pair in found.pairs if {pair.one, pair.other} <= runs]
    heads = ["pair", "points", "95% interval of this pair alone", "p (Holm)"]
    every = [
        [f"{look[pair.one].name} - {look[pair.other].name}", *_figures(pair)]
        for pair in sorted(among, key=lambda pair: pair.p_value)
    ]
    folded = (Details("All of these pairs", Table(heads, every)),)
    return Section("pairs", "Each against each", lead, matrix=Matrix(names, rows), details=folded)


def _cell(pair: PairPart, sign: int) -> Cell:
    gain = sign * pair.gain
    look = ("ahead" if gain > 0 else "behind") if pair.differ else ""
    return Cell(signed(100 * gain), look, f"p = {pair.p_value:.3g} after Holm")


def _figures(pair: PairPart) -> list[str]:
    ends = span(pair.gain_ci95.low, pair.gain_ci95.high)
    return [signed(100 * pair.gain), ends, f"{pair.p_value:.3g}"]


def _learning(found: Compared, curves: Mapping[str, Curve]) -> Section:
    plot = learning(found, curves)
    if plot is None:
        return Section("learning", "Learning", lacking="No log of a training is at hand.")
    return Section("learning", "Learning", plots=(plot,))
