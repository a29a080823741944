"""The verbs, train to predict. A shell each; the work is in kdcli.commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kdcli import completion
from kdcli.cli.flags import (
    Again,
    Assistants,
    Classes,
    Data,
    Debug,
    Device,
    DryRun,
    Json,
    Max,
    Min,
    Out,
    Peers,
    Recipe,
    Seed,
    Set,
    Student,
    Teachers,
    Thing,
)
from kdcli.door import door, gate

if TYPE_CHECKING:
    from kdcli.commands.plan import Job
    from kdcli.console import Console


def train(
    model: Annotated[
        str,
        typer.Argument(
            help="timm's name, a family's, or NAME=FILE to begin with these weights.",
            autocompletion=completion.models,
        ),
    ],
    recipe: Recipe = "supervised",
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="How many, from --seed on: the members of an ensemble.")
    ] = 1,
    set_: Set = None,
    device: Device = "auto",
    again: Again = False,
    dry_run: DryRun = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a teacher (or any model) from labels alone."""
    with door(json, goes_on=not dry_run) as console:
        from kdcli.commands.train import train_job

        job = train_job(
            model,
            recipe=recipe,
            settings=tuple(set_ or ()),
            data=data,
            seed=seed,
            seeds=seeds,
            device=device,
            progress=console,
        )
        _carry_out(job, console, out, again, dry_run)


def distill(
    teacher: Teachers = None,
    assistant: Assistants = None,
    student: Student = None,
    peer: Peers = None,
    recipe: Recipe = "kd",
    data: Data = None,
    classes: Classes = None,
    out: Out = None,
    seed: Seed = None,
    set_: Set = None,
    device: Device = "auto",
    again: Again = False,
    dry_run: DryRun = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Distil a teacher, or several (trained first if there are none), into a student."""
    with door(json, goes_on=not dry_run) as console:
        from kdcli.commands.distill import distill_job

        job = distill_job(
            teacher,
            student,
            assistants=assistant or (),
            peers=peer or (),
            recipe=recipe,
            settings=tuple(set_ or ()),
            data=data,
            classes=classes,
            seed=seed,
            device=device,
            progress=console,
        )
        _carry_out(job, console, out, again, dry_run)


def _carry_out(job: "Job", console: "Console", out: Path | None, again: bool, dry: bool) -> None:
    """The plan alone, or the plan and then the work."""
    from kdcli.commands.carry_out import carry_out_all, dry_run
    from kdcli.screens.training import planned, trained

    if dry:
        planned(console, dry_run(job, console, out=out, again=again))
    else:
        trained(console, carry_out_all(job, console, out=out, again=again))


def evaluate(
    run: Thing = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many, from the run's own on.")] = 1,
    minima: Min = None,
    maxima: Max = None,
    device: Device = "auto",
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Compare a student with its teacher and an equal-size baseline (trained if there is none)."""
    with door(json, goes_on=True) as console:
        from kdcli.commands.evaluate import evaluate
        from kdcli.commands.gates import missed
        from kdcli.screens.reports import evaluated

        result = evaluate(
            run,
            seeds=seeds,
            minima=tuple(minima or ()),
            maxima=tuple(maxima or ()),
            device=device,
            progress=console,
        )
        evaluated(console, result)
        return gate(console, missed(result.gates))


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
        ),
    ] = "onnx",
    fold: Annotated[
        Literal["auto", "exact", "never"],
        typer.Option(
            help="Several heads into one: where it costs at most 0.1 points of validation "
            "accuracy, where it is exact, or never.",
        ),
    ] = "auto",
    latency: Annotated[
        Literal["quick", "thorough"],
        typer.Option(
            help="How long files are timed: some seconds each (indicative), or 1,024 samples and "
            "a minute each."
        ),
    ] = "quick",
    measured: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What the folder's bench.py printed on a device goes into the report; nothing is "
            "exported again; repeatable.",
        ),
    ] = None,
    input_: Annotated[
        Literal["tensor", "pixels"],
        typer.Option(
            "--input",
            help="What the file takes: normalised floats and gives logits, or pixels as in an "
            "image file and gives probabilities.",
        ),
    ] = "tensor",
    resize: Annotated[
        bool,
        typer.Option(
            "--resize", help="With --input pixels: images of any size, cut to size in the graph."
        ),
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Always so many images at a time; default: any number."),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Version of ONNX's operators, as the target's compiler knows them; "
            "default: the exporter's own.",
        ),
    ] = None,
    minima: Min = None,
    maxima: Max = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Write the student as ONNX (or for timm, torch.export), check it, and report its costs."""
    with door(json) as console:
        from kdcli.commands.export import export
        from kdcli.commands.gates import missed
        from kdcli.commands.measured import add_measured
        from kdcli.commands.wanted import Wanted
        from kdcli.screens import reports

        gates = {"minima": tuple(minima or ()), "maxima": tuple(maxima or ())}
        if measured:
            flags = {"--out": out, "--model": model, "--classes": classes, "--size": size}
            others = [flag for flag, value in flags.items() if value]
            result = add_measured(
                thing, measured, which=which, others=others, **gates, progress=console
            )
            reports.measured(console, result)
            return gate(console, missed(result.gates))
        result = export(
            thing,
            which=which,
            out=out,
            model=model,
            classes=classes,
            size=size,
            wanted=Wanted(
                format=format_,
                fold=fold,
                input=input_,
                resize=resize,
                batch=batch,
                opset=opset,
                latency=latency,
            ),
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
