"""`kd distill`: its flags. What it prints is in cli/train.py."""

from typing import Annotated, Literal

import typer

from kdcli.cli.entry import door
from kdcli.cli.flags import (
    Again,
    Assistants,
    Classes,
    Data,
    Debug,
    Details,
    Device,
    DryRun,
    Json,
    Out,
    Peers,
    Recipe,
    Seed,
    Set,
    Student,
    Teachers,
)
from kdcli.cli.train import carry_out


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
    baseline: Annotated[
        Literal["first", "later"],
        typer.Option(
            help="first: train the baseline before the student, and say how far the teacher is "
            "ahead of it; later: kd evaluate trains it."
        ),
    ] = "later",
    details: Details = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Distil a teacher, or several (trained first if there are none), into a student."""
    with door(json, goes_on=not dry_run) as console:
        from kdcli.commands.distill import distill_job
        from kdcli.plan.ask import Ask

        ask = Ask(
            recipe=recipe,
            settings=tuple(set_ or ()),
            teachers=tuple(teacher or ()),
            assistants=tuple(assistant or ()),
            student=student,
            peers=tuple(peer or ()),
            data=data,
            classes=classes,
            seed=seed,
            device=device,
        )
        job = distill_job(ask, console)
        carry_out(job, console, out, again, dry_run, details, baseline == "first")
