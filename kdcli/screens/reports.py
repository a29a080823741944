"""After `kd evaluate` and `kd export`: the report, gates, and what to do next."""

import shlex
from typing import TYPE_CHECKING, Any

from kdcli.console import Console, error_document

if TYPE_CHECKING:
    from pathlib import Path

    from kdcli.commands.evaluate import Evaluated
    from kdcli.commands.exported import Exported
    from kdcli.commands.gates import Checked
    from kdcli.commands.report import Export, Report


def evaluated(console: Console, result: "Evaluated") -> None:
    """After `kd evaluate`."""
    run = shlex.quote(str(result.run.path))
    _report(console, result.report, result.gates, {"run": str(result.run.path)})
    if not console.as_json:
        console.line(f"report: {result.run.path / 'report.md'}")
        console.next(f"kd export {run}")


def exported(console: Console, result: "Exported") -> None:
    """After `kd export`."""
    from kdcli.commands.drawing import fold_words
    from kdcli.commands.export_places import listed
    from kdcli.commands.file_table import file_table, worth_lines

    files = {"file": str(result.out), "files": [str(path) for path in result.paths]}
    _report(console, result.report, result.gates, files)
    if console.as_json:
        return
    if result.format != "onnx":
        _packaged(console, result)
        return
    by_path = {entry.path: entry for entry in result.report.exports or []}
    entries = [by_path[listed(path, result.place.parent)] for path in result.paths]
    for path, entry in zip(result.paths, entries, strict=True):
        for line in _of_file(path, entry):
            console.line(line)
    if fold := entries[0].fold:
        console.line(fold_words(fold))
    if rows := file_table(entries):
        console.table(rows[0], rows[1:])
    for line in worth_lines(entries):
        console.line(line)
    console.line(f"report: {result.place.with_suffix('.md')}")
    if entries[0].parity.synthetic:
        return
    run = shlex.quote(str(result.place.parent))
    console.next(f"kd evaluate {run}{_gates(result.report)}")


def measured(console: Console, result: "Exported") -> None:
    """After `kd export --measured`."""
    from kdcli.commands.latency_lines import in_use

    _report(console, result.report, result.gates, {"files": [str(path) for path in result.paths]})
    if console.as_json:
        return
    for path, entry in zip(result.paths, result.report.exports or [], strict=True):
        console.line(f"ONNX: {path}")
        for line in in_use(entry):
            console.line(f"- {line}")
    console.line(f"report: {result.place.with_suffix('.md')}")


def _packaged(console: Console, result: "Exported") -> None:
    """After an export in another format than ONNX."""
    from kdcli.commands.drawing import fold_words

    entry = (result.report.packages or [])[-1]
    on = "made-up" if entry.parity.synthetic else "test"
    console.line(
        f"{entry.format}: {result.out} ({entry.bytes:,} bytes, by {entry.written_by}); "
        f"max |difference| to PyTorch {entry.parity.max_abs:.1e} on {entry.parity.images} {on} "
        "images"
    )
    if entry.fold:
        console.line(fold_words(entry.fold))
    console.line(f"report: {result.place.with_suffix('.md')}")
    if entry.format == "timm":
        if result.report.comparison is None:
            console.line("its card has no comparison; after kd evaluate, export it again")
        console.next(f"hf upload YOUR-NAME/MODEL {shlex.quote(str(result.out))}")


def _of_file(path: "Path", entry: "Export") -> list[str]:
    """What there is to say of one file."""
    from kdcli.commands.drawing import input_words
    from kdcli.commands.latency_lines import in_use

    parity, on = entry.parity, "made-up" if entry.parity.synthetic else "test"
    lines = [
        f"ONNX: {path} ({entry.bytes:,} bytes, opset {entry.opset}); max |difference| to "
        f"PyTorch {parity.max_abs:.1e}, top-1 changed on {parity.top1_changed} of "
        f"{parity.images} {on} images"
    ]
    if words := input_words(entry):
        lines.append(words)
    if entry.accuracy is not None:
        lines.append(f"test accuracy of the ONNX file: {entry.accuracy:.4f}")
    return [*lines, *(f"- {line}" for line in in_use(entry))]


def _gates(report: "Report") -> str:
    """Two that these numbers pass, by a point or so."""
    found, student = report.comparison, report.models["student"].accuracy_ci95
    if not found or not student:
        return ""
    low, gain = (f"{round(ci.low, 2) - 0.01:.2f}" for ci in (student, found.gain_ci95))
    return f" --min student.accuracy={low} --min comparison.gain_ci95.low={gain}"


def _report(console: Console, report: Any, gates: "list[Checked]", more: dict[str, Any]) -> None:
    from kdcli.commands.drawing import figures, heads, table
    from kdcli.commands.gates import missed
    from kdcli.commands.licence_lines import licence_line

    failure = missed(gates)
    if console.as_json:
        content = report.as_dict() | more | {"gates": [gate.as_dict() for gate in gates]}
        console.document(content | ({"error": error_document(failure)} if failure else {}))
        return
    console.table(["", *heads(report)], table(report))
    for line in [*figures(report), *report.notes]:
        console.line(f"- {line}")
    if report.licences:
        console.line(f"- {licence_line(report.licences)}")
    if report.verdict:
        console.line()
        console.line(report.verdict)
    if gates:
        console.table(
            ["gate", "limit", "value", ""],
            [
                [
                    f"{g.gate.kind} {g.gate.key}",
                    f"{g.gate.limit:g}",
                    "null" if g.value is None else f"{g.value:.6g}",
                    "passed" if g.passed else "MISSED",
                ]
                for g in gates
            ],
        )
