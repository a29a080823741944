"""Accuracies with their intervals, a row each: for candidates of one size."""

from collections.abc import Sequence

from kdcli.report.page.svg import (
    WIDTH,
    Drawing,
    drawing,
    line,
    marker,
    percent,
    shorter,
    spanning,
    text,
    x_axis,
)
from kdcli.report.page.trade_off import Point

ROW, TOP, LEFT, RIGHT = 19.0, 6.0, 140.0, WIDTH - 12
MOST = 24
"""Rows, the first ones."""


def ranking(points: Sequence[Point]) -> Drawing:
    """In their order."""
    rows = points[:MOST]
    x = spanning([end for p in rows for end in p.ends], LEFT, RIGHT)
    bottom = TOP + ROW * len(rows)
    marks = []
    for i, p in enumerate(rows):
        y = TOP + ROW * (i + 0.5)
        low, high = p.ends[0], p.ends[-1]
        fill = "hollow" if p.hollow else "mark"
        marks += [
            text(LEFT - 10, y + 4, shorter(p.name, 21), text_anchor="end", class_="name"),
            line(x(low), y, x(high), y, f"whisker {p.colour}"),
            marker(p.shape, x(p.accuracy), y, 4.5, f"{fill} {p.colour}"),
        ]
    axis = x_axis(x, TOP, bottom, "accuracy", percent)
    return drawing(bottom + 36, axis, *marks, title="Accuracy of each")
