"""A report's models and exported files as points of accuracy against size, and against time."""

from collections.abc import Mapping

from kdcli.report.export import Export
from kdcli.report.model import ModelPart, Range
from kdcli.report.page.roles import colour, names, shape
from kdcli.report.page.trade_off import Point
from kdcli.report.schema import Report, main_export


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
    return Point(
        names(report)[role],
        shape(role),
        colour(role),
        x,
        part.accuracy or 0.0,
        part.accuracy_ci95,
        slow,
    )


def _files(report: Report, files_ci95: Mapping[str, Range], by: str) -> list[Point]:
    """The smaller files; the fp32 one is the student's own point."""
    main = main_export(report)
    found = [one for one in report.exports or [] if one.accuracy is not None and one != main]
    return [
        Point(
            file_name(one),
            shape("student"),
            colour("student"),
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
