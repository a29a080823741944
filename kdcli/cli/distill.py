"""`kd distill`: its flags. What it prints is in cli/train.py."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kdcli.cli.console import Console
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
    Processes,
    Recipe,
    Seed,
    Set,
    Student,
    Teachers,
)
from kdcli.cli.several import in_several
from kdcli.cli.train import carry_out

if TYPE_CHECKING:
    from kdcli.commands.store_answers import Stored


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
    processes: Processes = None,
    again: Again = False,
    dry_run: DryRun = False,
    baseline: Annotated[
        Literal["first", "later"],
        typer.Option(
            help="first: train the baseline before the student, and say how far the teacher is "
            "ahead of it; later: kd evaluate trains it."
        ),
    ] = "later",
    only: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST",
            help="Of the trainings around the student (teacher, assistant, baseline) the one whose "
            "folder's name ends so; or 'answers': store what the teachers say. Jobs of kd sweep.",
            show_default=False,
        ),
    ] = None,
    details: Details = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Distil a teacher, or several (trained first if there are none), into a student."""
    with door(json, goes_on=not dry_run) as console:
        in_several(console, processes, device)
        from kdcli.commands.distill import distill_job
        from kdcli.commands.store_answers import ANSWERS, refuse_with_answers, store_answers
        from kdcli.commands.train import refuse_unwritable
        from kdcli.plan.ask import Ask
        from kdcli.plan.parts import part_of

        refuse_unwritable(out)
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
        if only == ANSWERS:
            refuse_with_answers(out=out, again=again, dry_run=dry_run)
            console.show(store_answers(job, console), lambda it: it.as_dict(), _show_stored)
            return
        job = part_of(job, only) if only else job
        carry_out(job, console, out, again, dry_run, details, baseline == "first")


def _show_stored(console: Console, found: "Stored") -> None:
    console.line(found.words)
