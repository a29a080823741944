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
    if not parts or not all(part.file_bytes for part in parts.values()):
        return "parameters", [_point(report, role, part.params) for role, part in parts.items()]
    points = [_point(report, role, part.file_bytes or 0) for role, part in parts.items()]
    files = [_file(one, files_ci95, one.bytes) for one in _smaller(report)]
    return "size of the file", points + files


def by_time(report: Report, files_ci95: Mapping[str, Range]) -> list[Point]:
    """Points by the median of one image in onnxruntime; none where nothing was timed."""
    timed = {
        role: p.latency_ms.onnxruntime for role, p in _measured(report).items() if p.latency_ms
    }
    points = [_point(report, role, time.p50, time.p90) for role, time in timed.items()]
    times = [(one, one.latency_ms) for one in _smaller(report) if points]
    return points + [_file(one, files_ci95, time.p50, time.p90) for one, time in times]


def _measured(report: Report) -> dict[str, ModelPart]:
    parts = {role: report.models[role] for role in names(report)}
    return {role: part for role, part in parts.items() if part.accuracy is not None}


def _smaller(report: Report) -> list[Export]:
    """Files beside the fp32 one, which is the student's own point."""
    main = main_export(report)
    return [one for one in report.exports or [] if one.accuracy is not None and one != main]


def _point(report: Report, role: str, x: float, slow: float | None = None) -> Point:
    part, look = report.models[role], (shape(role), colour(role))
    accuracy = part.accuracy or 0.0
    return Point(names(report)[role], *look, x, accuracy, part.accuracy_ci95, slow=slow)


def _file(
    one: Export, files_ci95: Mapping[str, Range], x: float, slow: float | None = None
) -> Point:
    look, ci95 = (shape("student"), colour("student")), files_ci95.get(one.path)
    return Point(file_name(one), *look, x, one.accuracy or 0.0, ci95, True, slow)


def file_name(export: Export) -> str:
    """`student, int8`."""
    return f"student, {export.precision}"
