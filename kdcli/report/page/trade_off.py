"""Accuracy against size, and against time: every model and exported file as a point."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from kdcli.core.text import scaled
from kdcli.report.export import Export
from kdcli.report.model import ModelPart, Range
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
    text,
    x_axis,
    y_axis,
)
from kdcli.report.schema import Report, main_export

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 44.0, WIDTH - 12, 12.0, 204.0, 240.0
LETTER = 6.0
"""About the width of one."""


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
    marks = [mark for point in points for mark in _marks(point, x, y)]
    return drawing(
        HEIGHT,
        x_axis(x, TOP, BOTTOM, title, lambda v: _amount(v, unit)),
        y_axis(y, LEFT, RIGHT, percent),
        *marks,
        *_labels(points, x, y),
        title=f"Accuracy against {title}",
    )


def _ends(point: Point) -> list[float]:
    return [point.ci95.low, point.ci95.high] if point.ci95 else [point.accuracy]


def _amount(value: float, unit: str) -> str:
    if unit == "ms":
        return f"{value:g} ms"
    number, letter = scaled(value, nearly=0.9995)
    return f"{number:.3g} {letter}{unit}".strip()


def _marks(point: Point, x: Scale, y: Scale) -> list[Markup]:
    """Its intervals as lines, itself as a marker."""
    here, tint = (x(point.x), y(point.accuracy)), colour(point.role)
    marks = []
    if point.ci95:
        marks.append(
            line(here[0], y(point.ci95.low), here[0], y(point.ci95.high), f"whisker {tint}")
        )
    if point.slow is not None:
        marks.append(line(here[0], here[1], x(point.slow), here[1], f"whisker {tint}"))
    fill = "hollow" if point.hollow else "mark"
    return [*marks, marker(shape(point.role), *here, 5.0, f"{fill} {tint}")]


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
_PLACES = (
    *((9, 4, "start"), (-9, 4, "end"), (0, -9, "middle"), (0, 17, "middle")),
    *((9, -7, "start"), (9, 15, "start"), (-9, -7, "end"), (-9, 15, "end")),
    *((9, -18, "start"), (9, 26, "start"), (-9, -18, "end"), (-9, 26, "end")),
)
"""Beside a point, from it: where its name may stand, the best first."""


def _labels(points: list[Point], x: Scale, y: Scale) -> list[Markup]:
    """A name beside each point, where it covers least of points, lines and other names."""
    taken = [box for p in points for box in _boxes(p, x, y)]
    found = []
    for point in points:
        words, (px, py) = shorter(point.name, 22), (x(point.x), y(point.accuracy))
        boxes = [_box(px + dx, py + dy, words, anchor) for dx, dy, anchor in _PLACES]
        best = min(range(len(boxes)), key=lambda i: _covered(boxes[i], taken))
        taken.append(boxes[best])
        dx, dy, anchor = _PLACES[best]
        found.append(text(px + dx, py + dy, words, text_anchor=anchor, class_="name"))
    return found


def _boxes(point: Point, x: Scale, y: Scale) -> list[Box]:
    """Of its marker and its lines."""
    px, py = x(point.x), y(point.accuracy)
    low, high = (y(end) for end in (_ends(point)[0], _ends(point)[-1]))
    return [
        (px - 6, py - 6, px + 6, py + 6),
        (px - 1, high, px + 1, low),
        (px, py - 1, x(point.slow or point.x), py + 1),
    ]


def _box(x: float, y: float, words: str, anchor: str) -> Box:
    wide = LETTER * len(words)
    left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
    return left, y - 9, left + wide, y + 2


def _covered(box: Box, taken: list[Box]) -> float:
    """How much of it lies on something, or outside of the plot, which counts most."""
    over = sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
    outside = max(0.0, LEFT - box[0]) + max(0.0, box[2] - WIDTH)
    outside += max(0.0, TOP - 4 - box[1]) + max(0.0, box[3] - BOTTOM)
    return over + 100 * outside
