"""Accuracy against size, or against time: a point each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from kdcli.core.text import scaled
from kdcli.report.model import Range
from kdcli.report.page.labels import Box, labels
from kdcli.report.page.svg import (
    WIDTH,
    Drawing,
    Scale,
    framed,
    line,
    marker,
    path,
    shorter,
    spanning,
    tag,
)

LEFT, RIGHT, TOP, BOTTOM = 44.0, WIDTH - 12, 12.0, 204.0
APART = 7.0
"""Between points of one size."""
NAMED = 12
"""Points that get a name, besides those of the front, where not all do."""


@dataclass(frozen=True)
class Point:
    """One model or file."""

    name: str
    shape: str
    colour: str
    x: float
    accuracy: float
    ci95: Range | None
    hollow: bool = False
    slow: float | None = None
    """Of times: p90."""

    @property
    def ends(self) -> list[float]:
        """Of its interval, else itself."""
        return [self.ci95.low, self.ci95.high] if self.ci95 else [self.accuracy]


def trade_off(points: Sequence[Point], title: str, unit: str, front: bool = False) -> Drawing:
    """A plot; `unit` is `B`, `ms` or nothing; `front` draws the step line that no point is above.

    With a `front` names stand only where there is room: at its points, the best first, then at
    the first ones.
    """
    ends = [end for p in points for end in p.ends]
    y = spanning(ends, BOTTOM, TOP)
    x = spanning([v for p in points for v in (p.x, p.slow or p.x)], LEFT, RIGHT, 0.12, log=True)
    placed = [*zip(points, _side_by_side([x(p.x) for p in points]), strict=True)]
    first = _front(placed) if front else []
    taken = [box for p, px in placed for box in _boxes(p, px, x, y)]
    steps = _steps([(px, y(p.accuracy)) for p, px in first])
    taken += [_around(*ends) for ends in pairwise(steps)]
    wanted = (
        [*reversed(first), *(one for one in placed[:NAMED] if one not in first)]
        if front
        else placed
    )
    named = [(shorter(p.name, 22), px, y(p.accuracy)) for p, px in wanted]
    marks = [
        *([path(steps, "front")] if front else []),
        *(tag("g", tag("title", p.name), *_marks(p, px, x, y)) for p, px in placed),
        *labels(named, taken, (LEFT, TOP - 4, WIDTH, BOTTOM), all_of_them=not front),
    ]
    name = f"{title} (log scale)"
    return framed(x, y, name, lambda v: amount(v, unit), marks, f"Accuracy against {title}")


def _front(placed: Sequence[tuple[Point, float]]) -> list[tuple[Point, float]]:
    """Who is better than all that are smaller, from left to right."""
    found: list[tuple[Point, float]] = []
    for one in sorted(placed, key=lambda one: (one[0].x, -one[0].accuracy)):
        if not found or one[0].accuracy > found[-1][0].accuracy:
            found.append(one)
    return found


def _steps(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """From each to the right below the next, and up; the last to the end of the plot."""
    ends = [*(x for x, _ in corners[1:]), RIGHT]
    return [
        place
        for (x, y), end in zip(corners, ends[: len(corners)], strict=True)
        for place in ((x, y), (end, y))
    ]


def _side_by_side(places: Sequence[float]) -> list[float]:
    """Points of one size a little apart, so that one's interval does not hide the other's."""
    alike = [[j for j, other in enumerate(places) if abs(other - here) < 0.5] for here in places]
    room = 0.8 * (RIGHT - LEFT)
    return [
        here + min(APART, room / len(same)) * (same.index(i) - (len(same) - 1) / 2)
        for i, (here, same) in enumerate(zip(places, alike, strict=True))
    ]


def _around(one: tuple[float, float], other: tuple[float, float]) -> Box:
    (left, right), (top, bottom) = (sorted(ends) for ends in zip(one, other, strict=True))
    return left - 1, top - 1, right + 1, bottom + 1


def amount(value: float, unit: str) -> str:
    """`600 k`, `2.4 MB`, `5 ms`."""
    if unit == "ms":
        return f"{value:g} ms"
    number, letter = scaled(value, nearly=0.9995)
    return f"{number:.3g} {letter}{unit}".strip()


def _marks(point: Point, px: float, x: Scale, y: Scale) -> list[Markup]:
    """Its intervals as lines, itself as a marker."""
    py, tint = y(point.accuracy), point.colour
    marks = []
    if point.ci95:
        marks.append(line(px, y(point.ci95.low), px, y(point.ci95.high), f"whisker {tint}"))
    if point.slow is not None:
        marks.append(line(px, py, x(point.slow), py, f"whisker {tint}"))
    fill = "hollow" if point.hollow else "mark"
    return [*marks, marker(point.shape, px, py, 5.0, f"{fill} {tint}")]


def _boxes(point: Point, px: float, x: Scale, y: Scale) -> list[Box]:
    """What its marker and lines cover."""
    py, low, high = (y(v) for v in (point.accuracy, point.ends[0], point.ends[-1]))
    return [
        (px - 6, py - 6, px + 6, py + 6),
        (px - 1, high, px + 1, low),
        (px, py - 1, x(point.slow or point.x), py + 1),
    ]
