"""Models and exported files as rows, their figures as columns."""

from collections.abc import Mapping
from pathlib import PurePath

from kdcli.core.text import scaled
from kdcli.report.export import Export
from kdcli.report.model import Range
from kdcli.report.page.report_points import file_name
from kdcli.report.schema import Report
from kdcli.report.table import heads, table

COLUMNS = {
    "test accuracy": "test accuracy",
    "  95% interval": "95% interval",
    "  sd over seeds": "sd",
    "NLL": "NLL",
    "calibration error": "calibration error",
    "parameters": "parameters",
    "MACs (FLOPs = 2x)": "MACs",
    "ONNX file": "file",
    "onnxruntime p50/p90": "one image, p50 / p90",
}
"""Of the report's own table, and what they are called here."""


def models_table(report: Report, files_ci95: Mapping[str, Range]) -> list[list[str]]:
    """Heads, then a row per role and per exported file; columns of which nobody knows anything are
    left out. A row's first cell has two lines: who, and what it is."""
    found = {row[0]: row[1:] for row in table(report)}
    keys = [key for key in COLUMNS if key in found]
    if report.exports and "test accuracy" not in found:
        keys.insert(0, "test accuracy")
    rows = [
        [f"{name}\n{found['model'][i]}", *(found[key][i] if key in found else "-" for key in keys)]
        for i, name in enumerate(heads(report))
    ]
    for export in report.exports or []:
        cells = _of_file(export, files_ci95.get(export.path))
        rows.append(
            [
                f"{file_name(export)}\n{PurePath(export.path).name}",
                *(cells.get(key, "-") for key in keys),
            ]
        )
    return [["", *(COLUMNS[key] for key in keys)], *rows]


def _of_file(export: Export, ci95: Range | None) -> dict[str, str]:
    number, letter = scaled(export.bytes)
    time = export.latency_ms
    return {
        "test accuracy": "-" if export.accuracy is None else f"{export.accuracy:.4f}",
        "  95% interval": f"{ci95.low:.3f} to {ci95.high:.3f}" if ci95 else "-",
        "ONNX file": f"{number:.2f} {letter}B",
        "onnxruntime p50/p90": f"{time.p50:.2f} / {time.p90:.2f} ms",
    }
