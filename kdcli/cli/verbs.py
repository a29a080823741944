"""The verbs that make a student: train, distill, evaluate. A shell each; the work is in
kdcli.commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
