"""What ships: export and predict. A shell each; the work is in kdcli.commands."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kdcli import completion
from kdcli.cli.flags import Classes, Debug, Json, Max, Min, Thing
from kdcli.door import door, gate

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
        from kdcli.commands.gates import missed
        from kdcli.commands.wanted import Wanted
        from kdcli.screens import reports

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
            from kdcli.commands.measured import add_measured

            flags = {"--out": out, "--model": model, "--classes": classes, "--size": size}
            others = [flag for flag, value in flags.items() if value] + wanted.flags
            result = add_measured(
                thing, measured, which=which, others=others, **gates, progress=console
            )
            reports.measured(console, result)
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
        reports.exported(console, result)
        return gate(console, missed(result.gates))


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL.onnx",
            help="A file that kd export wrote, its folder, or the run.",
            autocompletion=completion.runs,
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Image files, folders of them at any depth, or patterns."
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Classes per image; default: 5, and in the table of several images 1.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU cores of onnxruntime; default: all.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Which classes an exported file sees in images; onnxruntime alone, no PyTorch."""
    with door(json) as console:
        from kdcli.commands.predict import predict
        from kdcli.screens.predict import predicted

        result = predict(model, images, top=top, threads=threads, progress=console)
        predicted(console, result)
        return gate(console, result.failure)
