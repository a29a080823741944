"""The gain of each seed and of all of them, with intervals: a forest plot."""

from collections.abc import Sequence

from markupsafe import Markup

from kdcli.core.text import signed, span
from kdcli.report.model import Range
from kdcli.report.page.facts import SeedGain
from kdcli.report.page.svg import (
    WIDTH,
    Drawing,
    drawing,
    line,
    marker,
    path,
    spanning,
    text,
    x_axis,
)

ROW, TOP, LEFT, RIGHT = 22.0, 8.0, 58.0, WIDTH - 118
MOST = 20
"""Seeds that are drawn; the row of all of them has the others in it, too."""


def forest(gains: Sequence[SeedGain], gain: float, ci95: Range) -> Drawing:
    """A row per seed, and one for all that the verdict speaks of; in points."""
    rows = [(f"seed {one.seed}", one.gain, one.ci95) for one in gains[:MOST]]
    ends = [100 * v for _, _, ci in [*rows, ("", gain, ci95)] for v in (ci.low, ci.high)]
    x = spanning([*ends, 0.0], LEFT, RIGHT)
    bottom = TOP + ROW * (len(rows) + (len(gains) > 1))
    marks = [line(x(0), TOP, x(0), bottom, "zero")]
    for i, (name, value, ci) in enumerate(rows):
        y = TOP + ROW * (i + 0.5)
        marks += [
            text(LEFT - 8, y + 4, name, text_anchor="end", class_="name"),
            line(x(100 * ci.low), y, x(100 * ci.high), y, "whisker student"),
            marker("square", x(100 * value), y, 4.0, "mark student"),
            _figures(y, value, ci),
        ]
    if len(gains) > 1:
        y = TOP + ROW * (len(rows) + 0.5)
        low, middle, high = (x(100 * v) for v in (ci95.low, gain, ci95.high))
        corners = [(low, y), (middle, y - 6), (high, y), (middle, y + 6)]
        marks += [
            text(LEFT - 8, y + 4, "all", text_anchor="end", class_="name strong"),
            path(corners, "mark student", closed=True),
            _figures(y, gain, ci95, " strong"),
        ]
    axis = x_axis(
        x, TOP, bottom, "student - baseline, in points", lambda v: signed(v, "g") if v else "0"
    )
    return drawing(bottom + 36, axis, *marks, title="Gain over the baseline, seed by seed")


def _figures(y: float, value: float, ci: Range, more: str = "") -> Markup:
    words = f"{signed(100 * value)} ({span(ci.low, ci.high)})"
    return text(WIDTH, y + 4, words, text_anchor="end", class_=f"figure{more}")
