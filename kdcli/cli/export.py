"""What ships: export and predict. A shell each; the work is in kdcli.commands."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door, gate
from kdcli.cli.evaluate import _report
from kdcli.cli.flags import Classes, Debug, Json, Max, Min, Thing

if TYPE_CHECKING:
    from pathlib import Path

    from kdcli.deploy.result import Exported
    from kdcli.report.export import Export
    from kdcli.report.schema import Report

FILE, SMALLER, TIMING = "The file", "Smaller numbers", "Timing"
"""Panels of the help."""


def export(
    thing: Thing = None,
    which: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Another of the run's models: exit_1, peer_0, ...; default: the one that ships.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder, or one file; default: the folder export (or timm) in the run's."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Of somebody else's weights (weights.pth): timm's name of their model.",
            autocompletion=completion.models,
        ),
    ] = None,
    classes: Classes = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, help="Of somebody else's weights: the pixels of a side they are fed."),
    ] = None,
    format_: Annotated[
        Literal["onnx", "timm", "torch"],
        typer.Option(
            "--format",
            help="onnx; a folder for timm and the Hub; or torch.export's model.pt2.",
            rich_help_panel=FILE,
        ),
    ] = "onnx",
    input_: Annotated[
        Literal["tensor", "pixels"],
        typer.Option(
            "--input",
            help="What the file takes: normalised floats and gives logits, or pixels as in an "
            "image file and gives probabilities.",
            rich_help_panel=FILE,
        ),
    ] = "tensor",
    resize: Annotated[
        bool,
        typer.Option(
            "--resize",
            help="With --input pixels: images of any size, cut to size in the graph.",
            rich_help_panel=FILE,
        ),
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Always so many images at a time; default: any number.",
            rich_help_panel=FILE,
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Version of ONNX's operators, as the target's compiler knows them; "
            "default: the exporter's own.",
            rich_help_panel=FILE,
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Another file in 8-bit integers, calibrated on training images, chosen on "
            "validation, with a verdict.",
            rich_help_panel=SMALLER,
        ),
    ] = False,
    fp16: Annotated[
        bool,
        typer.Option(
            "--fp16",
            help="Another file in float16, with a verdict.",
            rich_help_panel=SMALLER,
        ),
    ] = False,
    target: Annotated[
        Literal["x86", "arm"] | None,
        typer.Option(
            help="The processor that int8 is for; default: this machine's.",
            rich_help_panel=SMALLER,
        ),
    ] = None,
    fold: Annotated[
        Literal["auto", "exact", "never"],
        typer.Option(
            help="Several heads into one: where it costs at most 0.1 points of validation "
            "accuracy, where it is exact, or never.",
            rich_help_panel=FILE,
        ),
    ] = "auto",
    latency: Annotated[
        Literal["quick", "thorough"],
        typer.Option(
            help="How long files are timed: some seconds each (indicative), or 1,024 samples and "
            "a minute each.",
            rich_help_panel=TIMING,
        ),
    ] = "quick",
    measured: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What the folder's bench.py printed on a device goes into the report; nothing is "
            "exported again; repeatable.",
            rich_help_panel=TIMING,
        ),
    ] = None,
    minima: Min = None,
    maxima: Max = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Write the student as ONNX (or for timm, torch.export), check it, and report its costs."""
    with door(json) as console:
        from kdcli.deploy.request import Wanted
        from kdcli.report.gates import missed

        gates = {"minima": tuple(minima or ()), "maxima": tuple(maxima or ())}
        wanted = Wanted(
            format=format_,
            input=input_,
            resize=resize,
            batch=batch,
            opset=opset,
            int8=int8,
            fp16=fp16,
            target=target,
            fold=fold,
            latency=latency,
        )
        if measured:
            from kdcli.deploy.device_times import add_measured

            flags = {"--out": out, "--model": model, "--classes": classes, "--size": size}
            others = [flag for flag, value in flags.items() if value] + wanted.flags
            result = add_measured(
                thing, measured, which=which, others=others, **gates, progress=console
            )
            show_measured(console, result)
            return gate(console, missed(result.gates))
        from kdcli.commands.export import export

        result = export(
            thing,
            which=which,
            out=out,
            model=model,
            classes=classes,
            size=size,
            wanted=wanted,
            **gates,
            progress=console,
        )
        show_exported(console, result)
        return gate(console, missed(result.gates))


def show_exported(console: Console, result: "Exported") -> None:
    """After `kd export`."""
    from kdcli.report.export import listed
    from kdcli.report.sentences import fold_words, worth_lines
    from kdcli.report.table import file_table

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


def show_measured(console: Console, result: "Exported") -> None:
    """After `kd export --measured`."""
    from kdcli.report.sentences import in_use

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
    console.line(f"report: {result.place.with_suffix('.md')}")
    if entry.format == "timm":
        if result.report.comparison is None:
            console.line("its card has no comparison; after kd evaluate, export it again")
        console.next(f"hf upload YOUR-NAME/MODEL {shlex.quote(str(result.out))}")


def _of_file(path: "Path", entry: "Export") -> list[str]:
    """What there is to say of one file."""
    from kdcli.report.sentences import in_use, input_words

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
