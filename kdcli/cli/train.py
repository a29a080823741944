"""After `kd train` and `kd distill`: how the run and its teachers did."""

import os
import shlex
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import (
    Again,
    Data,
    Debug,
    Details,
    Device,
    DryRun,
    Json,
    Out,
    Processes,
    Recipe,
    Seed,
    Set,
)
from kdcli.cli.several import in_several
from kdcli.core.examples import STUDENT

if TYPE_CHECKING:
    from kdcli.commands.train import Carried, Planned
    from kdcli.plan.job import Job
    from kdcli.runs.run import Run
    from kdcli.runs.spec import Spec, TeacherRef
    from kdcli.runs.terms import TermPart
    from kdcli.training.ensure import Trained

SHOWN = 3
"""Runs that a line names."""


def show_plan(console: Console, planned: "Planned") -> None:
    """After `--dry-run`."""
    for line in planned.lines():
        console.line(line)
    console.next(shlex.join(w for w in shlex.split(console.command) if w != "--dry-run"))


def show_trained(console: Console, done: "Carried", job: "Job", details: bool = False) -> None:
    """After `kd train` and `kd distill`: the run, or those of several seeds."""
    from kdcli.core.text import some
    from kdcli.plan.data import NO_DATA

    results = done.trained
    heads = ["", "model", "validation accuracy", "best epoch", "trained", "ended"]
    if len(results) == 1:
        _show_run(console, results[0], heads, details)
    else:
        rows = [_trained_row(f"seed {one.run.spec.seed}", one.run) for one in results]
        _show_rows(console, heads, rows, details)
        console.line(f"runs: {some((str(one.run.path) for one in results), SHOWN)}")
    if results[0].run.spec.data.location is None:
        console.line(NO_DATA)
    console.next(*(_next(results, job) if job.asked else ()))


def _show_rows(console: Console, heads: list[str], rows: list[list[str]], details: bool) -> None:
    from kdcli.report.screen import ROWS

    console.table(heads, rows if details else rows[:ROWS])
    if not details and len(rows) > ROWS:
        console.line(f"- {len(rows) - ROWS} more models: --details")


def _show_run(console: Console, result: "Trained", heads: list[str], details: bool) -> None:
    from kdcli.report.screen import curve
    from kdcli.runs.terms import terms_of

    run = result.run
    taught = "student" if run.spec.is_taught else "model"
    _show_rows(console, heads, [_trained_row(taught, run), *_teacher_rows(run)], details)
    epochs = [line for line in run.lines() if "epoch" in line]
    reached = [line["val_accuracy"] for line in epochs if "val_accuracy" in line]
    if console.draws and (drawn := curve(reached)):
        console.line(f"validation by epoch: {drawn} {min(reached):.3f} to {max(reached):.3f}")
    terms = terms_of(run)
    if terms and details:
        heads = ["term, last epoch", "weight", "loss", "share of loss", "share of gradient"]
        console.table(heads, [_term_row(part) for part in terms])
    elif terms:
        shares = sorted(((one.share_of_gradient or 0, one.term) for one in terms), reverse=True)
        told = ", ".join(f"{term} {share:.0%}" for share, term in shares)
        console.line(f"gradient in the last epoch: {told}")
    if result.shipped:
        console.line(f"ships: {result.shipped}")
    if others := list(result.others):
        export = shlex.join(["kd", "export", str(run.path), "--which", others[0]])
        console.line(f"beside it: {', '.join(others)} ({export})")
    if run.spec.alongside:
        console.line("training time is that of teacher and student together")
    console.line(f"run: {run.path}")


def _teacher_rows(run: "Run") -> list[list[str]]:
    """One for each teacher; of many one for all of them, from the worst to the best."""
    from kdcli.runs.run import Run
    from kdcli.training.teachers import TOLD

    if run.spec.alongside:
        return _followed_rows(run)
    found = [Run(_short(need.path.parent)) for need in run.needs().values()]
    if len(found) <= TOLD:
        rows = []
        for ref, teacher in zip(run.spec.members, found, strict=True):
            rows.append(_trained_row(_role(ref) + _elsewhere(teacher, run), teacher))
            if ref.spec and ref.spec.teachers:  # the whole chain
                rows += _teacher_rows(teacher)
        return rows
    ends = [end for teacher in found if (end := teacher.outcome())]
    shares = [end["val_accuracy"] for end in ends]
    reached = f"{min(shares):.4f} to {max(shares):.4f}" if ends else "-"
    seconds = f"{sum(end['seconds'] for end in ends):.0f} s" if ends else "-"
    models = dict.fromkeys(teacher.model for teacher in run.spec.teachers)
    return [[f"{len(found)} teachers", ", ".join(models), reached, "-", seconds, "-"]]


def _followed_rows(run: "Run") -> list[list[str]]:
    """Of those that learnt with the student: their training was the student's."""
    models = {name: ref.model for name, ref in run.spec.alongside.items()}
    best = str(run.outcome().get("best_epoch", "-"))
    return [
        [name, models[name], f"{accuracy:.4f}", f"{best} (student's)", "with student", "-"]
        for name, accuracy in run.taught_at_best().items()
    ]


def _role(ref: "TeacherRef") -> str:
    """In this chain, whatever a finished one was when it was made."""
    return ref.spec.title if ref.spec else "teacher"


def _elsewhere(teacher: "Run", pupil: "Run") -> str:
    """On which other images a teacher's accuracy is; nothing where they are its pupil's."""
    from kdcli.runs.find import spec_beside

    spec = spec_beside(str(teacher.model))
    if spec is None or spec.data.identity == pupil.spec.data.identity:
        return ""
    return f" (on {spec.data.name})"


def _documents(done: "Carried") -> dict[str, Any]:
    found = [_document(result) for result in done.trained]
    leads = {"leads": [lead.as_dict() for lead in done.leads]} if done.leads else {}
    return (found[0] if len(found) == 1 else {"runs": found}) | leads


def _document(result: "Trained") -> dict[str, Any]:
    from kdcli.runs.terms import terms_of

    spec, terms = result.run.spec, terms_of(result.run)
    return {
        "run": str(result.run.path),
        "model": str(result.run.model),
        "reused": result.reused,
        "name": spec.model,
        "data": {"name": spec.data.name, "is_default": int(spec.data.location is None)},
        "training": result.outcome,
        "others": result.others,
    } | ({"terms": [asdict(part) for part in terms]} if terms else {})


def _next(results: "list[Trained]", job: "Job") -> list[str]:
    from kdcli.plan.teachers import flags_of

    spec, run = job.spec, shlex.quote(str(results[0].run.path))
    place = spec.data.location
    # a run that was made where the data lay before would look for them there
    moved = on_data(place) if place != results[0].run.spec.data.location else ""
    if spec.is_taught:
        return [f"kd evaluate {run}{moved}", f"kd export {run}{moved}"]
    runs = [word for one in results for word in ("--teacher", str(one.run.path))]
    sizes = job.source.defaults
    usual = None if sizes.own_size else sizes.image_size
    teachers = flags_of(job) if len(results) > 1 else None
    more = [] if teachers else with_images_of(spec, usual)
    command = shlex.join(["kd", "distill", *(teachers or runs), "--student", STUDENT, *more])
    alone = [f"kd evaluate {run}{moved}"] if len(results) == 1 else []
    return [command + on_data(place), *alone]


def with_images_of(spec: "Spec", usual_size: int | None) -> list[str]:
    """What a student of this finished model must be told of its images, to be shown the same."""
    data = spec.recipe.data
    settings = {
        "data.image_size": (data.image_size, usual_size),
        "data.hidden": (data.hidden, 0),
        "data.licence": (data.licence, "auto"),
    }
    changed = [f"{key}={value}" for key, (value, usual) in settings.items() if value != usual]
    return [word for one in changed for word in ("--set", one)]


def on_data(name: str | None) -> str:
    """The end of a command on these data; nothing for the built-in default."""
    return f" --data {shlex.quote(name)}" if name else ""


def _short(folder: Path) -> Path:
    """`runs/given-...` for `runs/kd-.../../given-...`."""
    return Path(os.path.normpath(folder))


def _trained_row(role: str, run: "Run") -> list[str]:
    if not (end := run.outcome()):
        return [role, str(run.path), "-", "-", "-", "given"]
    best = f"{end['best_epoch']} of {end['epochs']}"
    seconds = f"{end['seconds']:.0f} s"
    return [role, _ships(run), f"{end['val_accuracy']:.4f}", best, seconds, end["ended"]]


def _ships(run: "Run") -> str:
    """Of a fused model, all of whose answer it gives."""
    from kdcli.core.text import counted_names

    fused = run.ships == "fused"
    names = counted_names([run.spec.model, *run.spec.peers])
    return f"fused: {names}" if fused else run.spec.model


def _term_row(part: "TermPart") -> list[str]:
    shares = (part.share_of_loss, part.share_of_gradient)
    shown = ("-" if share is None else f"{share:.1%}" for share in shares)
    return [part.term, f"{part.weight:.4g}", f"{part.loss:.4g}", *shown]


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
    processes: Processes = None,
    again: Again = False,
    dry_run: DryRun = False,
    details: Details = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a teacher (or any model) from labels alone."""
    with door(json, goes_on=not dry_run) as console:
        in_several(console, processes, device)
        from kdcli.commands.train import refuse_unwritable, train_job
        from kdcli.plan.ask import Ask

        refuse_unwritable(out)
        ask = Ask(
            recipe=recipe,
            settings=tuple(set_ or ()),
            model=model,
            data=data,
            seed=seed,
            seeds=seeds,
            device=device,
        )
        job = train_job(ask, console)
        carry_out(job, console, out, again, dry_run, details)


def carry_out(
    job: "Job",
    console: Console,
    out: Path | None,
    again: bool,
    dry: bool,
    details: bool,
    baseline_first: bool = False,
) -> None:
    """The plan alone, or the plan and then the work."""
    from kdcli.commands import train as verb

    if dry:
        planned = verb.dry_run(job, console, out=out, again=again, baseline_first=baseline_first)
        console.show(planned, lambda it: it.as_dict(), show_plan)
    else:
        done = verb.carry_out(job, console, out=out, again=again, baseline_first=baseline_first)
        console.show(done, _documents, partial(show_trained, job=job, details=details))
