"""Accuracy against size, and against time: every model and exported file as a point."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from kdcli.core.text import scaled
from kdcli.report.export import Export
from kdcli.report.model import ModelPart, Range
from kdcli.report.page.labels import Box, labels
from kdcli.report.page.roles import colour, names, shape
from kdcli.report.page.svg import (
    WIDTH,
    Scale,
    drawing,
    line,
    marker,
    percent,
    shorter,
    spanning,
    x_axis,
    y_axis,
)
from kdcli.report.schema import Report, main_export

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 44.0, WIDTH - 12, 12.0, 204.0, 240.0
APART = 7.0
"""Between points of one size."""


@dataclass(frozen=True)
class Point:
    """One model or file."""

    name: str
    role: str
    x: float
    accuracy: float
    ci95: Range | None
    slow: float | None = None
    """Of times: p90."""
    hollow: bool = False
    """A file of less precision than the model that it was made from."""


def by_size(report: Report, files_ci95: Mapping[str, Range]) -> tuple[str, list[Point]]:
    """What size means, and the points: bytes of files where all were exported, else parameters."""
    parts = _measured(report)
    if parts and all(part.file_bytes for part in parts.values()):
        points = [_point(report, role, float(p.file_bytes or 0)) for role, p in parts.items()]
        return "size of the file", points + _files(report, files_ci95, "bytes")
    return "parameters", [_point(report, role, float(p.params)) for role, p in parts.items()]


def by_time(report: Report, files_ci95: Mapping[str, Range]) -> list[Point]:
    """Points by the median of one image in onnxruntime; none where nothing was timed."""
    timed = {
        role: p.latency_ms.onnxruntime for role, p in _measured(report).items() if p.latency_ms
    }
    points = [_point(report, role, time.p50, time.p90) for role, time in timed.items()]
    return points + _files(report, files_ci95, "time") if points else []


def _measured(report: Report) -> dict[str, ModelPart]:
    return {
        role: report.models[role]
        for role in names(report)
        if report.models[role].accuracy is not None
    }


def _point(report: Report, role: str, x: float, slow: float | None = None) -> Point:
    part = report.models[role]
    return Point(names(report)[role], role, x, part.accuracy or 0.0, part.accuracy_ci95, slow)


def _files(report: Report, files_ci95: Mapping[str, Range], by: str) -> list[Point]:
    """The smaller files; the fp32 one is the student's own point."""
    main = main_export(report)
    found = [one for one in report.exports or [] if one.accuracy is not None and one != main]
    return [
        Point(
            file_name(one),
            "student",
            float(one.bytes) if by == "bytes" else one.latency_ms.p50,
            one.accuracy or 0.0,
            files_ci95.get(one.path),
            None if by == "bytes" else one.latency_ms.p90,
            hollow=True,
        )
        for one in found
    ]


def file_name(export: Export) -> str:
    """`student, int8`."""
    return f"student, {export.precision}"


def trade_off(points: list[Point], title: str, unit: str) -> Markup:
    """A plot; `unit` is `B`, `ms` or nothing."""
    ends = [end for p in points for end in _ends(p)]
    y = spanning(ends, BOTTOM, TOP)
    x = spanning([v for p in points for v in (p.x, p.slow or p.x)], LEFT, RIGHT, 0.12, log=True)
    placed = [*zip(points, _side_by_side([x(p.x) for p in points]), strict=True)]
    named = [(shorter(p.name, 22), px, y(p.accuracy)) for p, px in placed]
    taken = [box for p, px in placed for box in _boxes(p, px, x, y)]
    return drawing(
        HEIGHT,
        x_axis(x, TOP, BOTTOM, title, lambda v: _amount(v, unit)),
        y_axis(y, LEFT, RIGHT, percent),
        *(mark for p, px in placed for mark in _marks(p, px, x, y)),
        *labels(named, taken, (LEFT, TOP - 4, WIDTH, BOTTOM)),
        title=f"Accuracy against {title}",
    )


def _side_by_side(places: list[float]) -> list[float]:
    """Points of one size a little apart, so that one's interval does not hide the other's."""
    alike = [[j for j, other in enumerate(places) if abs(other - here) < 0.5] for here in places]
    return [
        here + APART * (same.index(i) - (len(same) - 1) / 2)
        for i, (here, same) in enumerate(zip(places, alike, strict=True))
    ]


def _ends(point: Point) -> list[float]:
    return [point.ci95.low, point.ci95.high] if point.ci95 else [point.accuracy]


def _amount(value: float, unit: str) -> str:
    if unit == "ms":
        return f"{value:g} ms"
    number, letter = scaled(value, nearly=0.9995)
    return f"{number:.3g} {letter}{unit}".strip()


def _marks(point: Point, px: float, x: Scale, y: Scale) -> list[Markup]:
    """Its intervals as lines, itself as a marker."""
    py, tint = y(point.accuracy), colour(point.role)
    marks = []
    if point.ci95:
        marks.append(line(px, y(point.ci95.low), px, y(point.ci95.high), f"whisker {tint}"))
    if point.slow is not None:
        marks.append(line(px, py, x(point.slow), py, f"whisker {tint}"))
    fill = "hollow" if point.hollow else "mark"
    return [*marks, marker(shape(point.role), px, py, 5.0, f"{fill} {tint}")]


def _boxes(point: Point, px: float, x: Scale, y: Scale) -> list[Box]:
    """What its marker and lines cover."""
    py, low, high = (y(v) for v in (point.accuracy, _ends(point)[0], _ends(point)[-1]))
    return [
        (px - 6, py - 6, px + 6, py + 6),
        (px - 1, high, px + 1, low),
        (px, py - 1, x(point.slow or point.x), py + 1),
    ]
