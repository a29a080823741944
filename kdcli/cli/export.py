"""`kd export`: from its flags to a request, and what it has written, as words."""

import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.evaluate import report_document, show_report
from kdcli.cli.flags import (
    Batch,
    Classes,
    Debug,
    Details,
    ExportOut,
    Fold,
    Format,
    Fp16,
    Input,
    Int8,
    Json,
    Latency,
    Max,
    Measured,
    Min,
    Model,
    Moved,
    Opset,
    Resize,
    Size,
    Target,
    Thing,
    Which,
)
from kdcli.cli.train import on_data

if TYPE_CHECKING:
    from pathlib import Path

    from kdcli.deploy.result import Exported
    from kdcli.report.export import Export
    from kdcli.report.schema import Report


WORTH_A_GATE = 0.2
"""What is less accurate, or may lose more, is not ready for gates."""


def export(
    thing: Thing = None,
    which: Which = None,
    out: ExportOut = None,
    model: Model = None,
    classes: Classes = None,
    size: Size = None,
    data: Moved = None,
    format_: Format = "onnx",
    input_: Input = "tensor",
    resize: Resize = False,
    batch: Batch = None,
    opset: Opset = None,
    int8: Int8 = False,
    fp16: Fp16 = False,
    target: Target = None,
    fold: Fold = "auto",
    latency: Latency = "quick",
    measured: Measured = None,
    minima: Min = None,
    maxima: Max = None,
    details: Details = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Write the student as ONNX (or for timm, torch.export), check it, and report its costs."""
    with door(json) as console:
        from kdcli.commands.export import export
        from kdcli.deploy.request import Request, Wanted
        from kdcli.report.gates import missed

        wanted = Wanted(format_, input_, resize, batch, opset, int8, fp16, target, fold, latency)
        of_whom = thing, which, out, model, classes, size, data
        request = Request(*of_whom, wanted, measured, minima, maxima)
        result = export(request, console)
        document = partial(_document, measured=bool(measured))
        show_it = partial(show_exported, data=data)
        show = partial(show_measured if measured else show_it, details=details)
        return console.show(result, document, show, missed(result.gates))


def _document(result: "Exported", measured: bool) -> dict[str, Any]:
    file = {} if measured else {"file": str(result.out)}
    files = [str(path) for path in result.paths]
    return report_document(result.report, result.gates, **file, files=files)


def show_exported(
    console: Console, result: "Exported", details: bool = False, data: str | None = None
) -> None:
    """After `kd export`; `data` is where they lie now."""
    from kdcli.report.export import listed
    from kdcli.report.screen import shown_at
    from kdcli.report.sentences import fold_words, worth_lines
    from kdcli.report.table import file_table

    show_report(console, result.report, result.gates, details)
    if result.format != "onnx":
        _show_package(console, result)
        return
    by_path = {entry.path: entry for entry in result.report.exports or []}
    entries = [by_path[listed(path, result.place.parent)] for path in result.paths]
    for path, entry in zip(result.paths, entries, strict=True):
        for line in _of_file(path, entry, details):
            console.line(line)
    if fold := entries[0].fold:
        console.line(fold_words(fold))
    if details and (rows := file_table(entries)):
        console.table(rows[0], rows[1:])
    for line in worth_lines(entries, details):
        console.line(line)
    console.line(f"report: {shown_at(result.place)}")
    if entries[0].parity.synthetic:
        return
    run = shlex.quote(str(result.place.parent))
    console.next(
        f"kd evaluate {run}{on_data(data)}{_gates(result.report)}", f"kd predict {run} IMAGE"
    )


def show_measured(console: Console, result: "Exported", details: bool = False) -> None:
    """After `kd export --measured`."""
    from kdcli.report.screen import shown_at
    from kdcli.report.sentences import in_use

    show_report(console, result.report, result.gates, details)
    for path, entry in zip(result.paths, result.report.exports or [], strict=True):
        console.line(f"ONNX: {path}")
        for line in in_use(entry):
            console.line(f"- {line}")
    console.line(f"report: {shown_at(result.place)}")


def _show_package(console: Console, result: "Exported") -> None:
    """After an export in another format than ONNX."""
    from kdcli.report.screen import shown_at
    from kdcli.report.sentences import fold_words

    entry = (result.report.packages or [])[-1]
    on = "made-up" if entry.parity.synthetic else "test"
    console.line(
        f"{entry.format}: {result.out} ({entry.bytes:,} bytes, by {entry.written_by}); "
        f"max |difference| to PyTorch {entry.parity.max_abs:.1e} on {entry.parity.images} {on} "
        "images"
    )
    if entry.fold:
        console.line(fold_words(entry.fold))
    console.line(f"report: {shown_at(result.place)}")
    if entry.format == "timm":
        if result.report.comparison is None:
            console.line("its card has no comparison; after kd evaluate, export it again")
        console.next(f"hf upload YOUR-NAME/MODEL {shlex.quote(str(result.out))}")


def _of_file(path: "Path", entry: "Export", details: bool) -> list[str]:
    """What there is to say of one file."""
    from kdcli.core.text import size_in_words
    from kdcli.report.sentences import in_use, input_words, parity_words

    words = [line] if (line := input_words(entry)) else []
    if not details:
        size, parity = size_in_words(entry.bytes), entry.parity
        alike = f"{parity.images - parity.top1_changed} of {parity.images}"
        on = "made-up" if parity.synthetic else "test"
        return [f"ONNX: {path} ({size}), top-1 as PyTorch's on {alike} {on} images", *words]
    file = f"ONNX: {path} ({entry.bytes:,} bytes, opset {entry.opset})"
    lines = [f"{file}; {parity_words(entry.parity)}", *words]
    if entry.accuracy is not None:
        lines.append(f"test accuracy of the ONNX file: {entry.accuracy:.4f}")
    return [*lines, *(f"- {line}" for line in in_use(entry))]


def _gates(report: "Report") -> str:
    """Two that these numbers pass, by a point or so."""
    found, student = report.comparison, report.models["student"].accuracy_ci95
    if not found or not student:
        return ""
    low, gain = round(student.low, 2) - 0.01, round(found.gain_ci95.low, 2) - 0.01
    if low < WORTH_A_GATE or gain < -WORTH_A_GATE:
        return ""
    return f" --min student.accuracy={low:.2f} --min comparison.gain_ci95.low={gain:.2f}"
