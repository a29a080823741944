"""Candidates of a comparison in plots: how each looks, accuracy against size and time, learning
curves over each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdcli.core.text import some
from kdcli.report.candidates import Candidate, Compared, short_names
from kdcli.report.page.facts import Curve
from kdcli.report.page.learning import overlaid
from kdcli.report.page.ranking import MOST, ranking
from kdcli.report.page.roles import shape
from kdcli.report.page.section import Key, Plot
from kdcli.report.page.trade_off import NAMED, Point, amount, trade_off

TONES = 6
"""Colours of the best, twice: the second half of `NAMED` is dashed."""


@dataclass(frozen=True)
class Look:
    """What it is called, and how it is drawn."""

    name: str
    colour: str
    """CSS classes."""
    line: str
    """Of its curve."""
    shape: str
    hollow: bool
    """It is behind the best."""


def best_first(found: Compared, most: int) -> list[Candidate]:
    """All of them, or as many: the front, then the most accurate."""
    kept = sorted(found.candidates, key=lambda one: (-one.on_front, -one.accuracy))[:most]
    return sorted(kept, key=lambda one: (-one.accuracy, one.run != found.best))


def looks(found: Compared) -> dict[str, Look]:
    """By what was typed, the most accurate first."""
    typed = [one.run for one in found.candidates]
    names = dict(zip(typed, short_names(typed), strict=True))
    made = {}
    for rank, one in enumerate(best_first(found, len(typed))):
        tone = f"tone{rank % TONES}" if rank < NAMED else "other"
        line = f"{tone} dashed" if TONES <= rank < NAMED else tone
        behind = one.run in found.behind
        made[one.run] = Look(names[one.run], tone, line, shape(one.role), behind)
    return made


def trade_offs(found: Compared, shown: Sequence[Candidate]) -> list[Plot]:
    """Accuracy against size, and against time where two or more were timed. Where all are of one
    size, accuracies alone."""
    whole = all(one.file_bytes for one in shown)
    sizes = [float(one.file_bytes or 0) if whole else float(one.params) for one in shown]
    what, unit = ("size of the file", "B") if whole else ("parameters", "")
    told = "Lines are 95% intervals."
    if found.behind:
        told += " Hollow: behind the best, all pairs considered."
    if len({*sizes}) > 1:
        said = f"{told} Dotted: nobody here is both more accurate and smaller."
        plots = [_plot(found, shown, sizes, what, unit, said)]
    else:
        drawn = ranking(_points(found, shown, [1.0] * len(shown)))
        more = f" The {MOST} most accurate." if len(shown) > MOST else ""
        size = amount(sizes[0], unit) + ("" if unit else " parameters")
        said = f"All have one size, {size}. {told}{more}"
        plots = [Plot(drawn, "Accuracy", said, _keys(shown))]
    times = [one.latency_ms or 0.0 for one in shown]
    if sum(map(bool, times)) > 1:
        said = f"Medians of one image in onnxruntime, by turns; {found.measured_on}."
        look = looks(found)
        if lacking := [look[one.run].name for one in shown if not one.latency_ms]:
            said += f" Not timed: {some(lacking, 3)}."
        plots.append(_plot(found, shown, times, "one image, one thread", "ms", said))
    return plots


def _points(found: Compared, shown: Sequence[Candidate], costs: Sequence[float]) -> list[Point]:
    """Of those whose cost is known."""
    look = looks(found)
    return [
        Point(its.name, its.shape, its.colour, cost, one.accuracy, one.accuracy_ci95, its.hollow)
        for one, cost in zip(shown, costs, strict=True)
        if cost and (its := look[one.run])
    ]


def _plot(
    found: Compared,
    shown: Sequence[Candidate],
    costs: Sequence[float],
    what: str,
    unit: str,
    caption: str,
) -> Plot:
    svg = trade_off(_points(found, shown, costs), what, unit, front=True)
    return Plot(svg, f"Against {'time' if unit == 'ms' else what}", caption, _keys(shown))


def _keys(shown: Sequence[Candidate]) -> tuple[Key, ...]:
    roles: dict[str, list[str]] = {}
    for role in dict.fromkeys(one.role for one in shown):
        roles.setdefault(shape(role), []).append(role)
    keys = [Key(", ".join(alike), drawn, "other") for drawn, alike in roles.items()]
    return tuple(keys) if len(keys) > 1 else ()


def learning(found: Compared, curves: Mapping[str, Curve]) -> Plot | None:
    """Validation accuracy by epoch of the best, each by the first of its seeds; None without any
    log."""
    best = [*looks(found).items()][:NAMED]
    known = [(look, curves[run]) for run, look in best if run in curves]
    if not known:
        return None
    caption = "Accuracy on validation images, of the first seed of each."
    if len(found.candidates) > NAMED:
        caption += f" The {NAMED} most accurate on test."
    if lacking := [look.name for run, look in best if run not in curves]:
        caption += f" No log of {some(lacking, 3)}."
    keys = tuple(Key(look.name, "line", look.line) for look, _ in known)
    return Plot(overlaid([(look.line, curve) for look, curve in known]), "", caption, keys)
