"""`kd sweep`: its flags, what became of the cells, the plan, the table."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kdcli.cli.compare import Show, as_asked, show_compared, show_csv
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Device, DryRun, Json

if TYPE_CHECKING:
    from kdcli.commands.documents.swept import SweepTable, Swept
    from kdcli.commands.sweep_plan import PlannedSweep


def show_swept(console: Console, found: "Swept") -> None:
    """What failed, where its story is, and who was not run for it."""
    for job in found.failed:
        console.line(f"failed (exit {job.code}): {job.job}")
        for line in job.reason.splitlines():
            console.line(f"  {line}")
        console.line(f"  log: {job.log}")
    for cell in found.cells:
        if cell.state != "done":
            console.line(f"{cell.state}: {_words(cell.cell) or cell.run}")
    console.line(f"{found.done} of {len(found.cells)} cells done")
    console.next(shlex.join(_of_the_table(found.file)))


def _of_the_table(file: str | Path) -> list[str]:
    return ["kd", "sweep", str(file), "--table"]


def _words(cell: dict[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in cell.items())


def show_plan(console: Console, found: "PlannedSweep") -> None:
    """After `--dry-run`."""
    for line in found.lines():
        console.line(line)
    again = [word for word in shlex.split(console.command) if word != "--dry-run"]
    console.next(shlex.join(again if found.missing else _of_the_table(found.file)))


def _show_table(console: Console, found: "SweepTable", show: Show = show_compared) -> None:
    tell = console.say if show is show_csv else console.line  # no number among the figures
    tell(f"{found.done} of {found.cells} done")
    for i, one in enumerate(found.tables):
        if i:
            console.line()
        show(console, one)


def _emit(console: Console, text: str, out: Path | None) -> int:
    from kdcli.core.files import write_text

    if out:
        write_text(out, text)
        console.say(f"written: {out}")
    else:
        console.text(text)
    return 0


def sweep(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.yaml",
            help="common: and axes: over the flags of kd distill and the keys of recipes, exclude:",
            show_default=False,
        ),
    ],
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many at a time; default: one for each GPU.", show_default=False
        ),
    ] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTION=VALUE,...",
            help="Jobs of a Slurm cluster, with these options of sbatch "
            "(partition=gpu,time=4:00:00,gres=gpu:1), in place of this machine's; repeatable.",
            show_default=False,
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With --slurm: queue the jobs, and wait for none.")
    ] = False,
    emit: Annotated[
        Literal["make", "slurm", "sky"] | None,
        typer.Option(
            help="Print the jobs as a Makefile, a script of sbatch lines or a task of SkyPilot.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where --emit writes, in place of printing.")
    ] = None,
    dry_run: DryRun = False,
    table: Annotated[
        bool, typer.Option("--table", help="Compare what is finished by now; trains nothing.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The table for a page or a comment.")
    ] = False,
    csv_: Annotated[
        bool, typer.Option("--csv", help="The table as plain numbers, a row per group.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Many trainings from one file: every combination of its axes, each an ordinary run."""
    with door(json, goes_on=not (dry_run or table)) as console:
        from kdcli.commands import sweep as verb
        from kdcli.commands.sweep_plan import foresee, plan_sweep
        from kdcli.core.errors import UsageError
        from kdcli.core.files import probe
        from kdcli.jobs.emit import emit as written
        from kdcli.jobs.local import Local
        from kdcli.jobs.slurm_options import read_options
        from kdcli.runs.find import runs_root

        if dry_run and table:
            raise UsageError("--dry-run and --table: one of them", "leave the other out")
        if (markdown or csv_) and not table:
            raise UsageError("--markdown and --csv are of --table", "add --table")
        show = as_asked(markdown, csv_, json)
        if emit and (json or dry_run or table or detach):
            raise UsageError("--emit prints a file, and does nothing else", "leave the others out")
        if emit == "make" and slurm:
            raise UsageError("--slurm says nothing to a Makefile", "--emit slurm, or leave it out")
        if out and not emit:
            raise UsageError("--out is of --emit", "add --emit make, slurm or sky")
        if detach and not slurm:
            raise UsageError("--detach is of --slurm", "add --slurm partition=...")
        options, queued = read_options(slurm or ()), slurm and not emit
        chosen = verb.on_slurm(options, jobs, not detach) if queued else Local(jobs, device)
        if out:
            probe(out.absolute().parent)
        elif not (emit or dry_run or table):
            probe(runs_root())
        graph = plan_sweep(file, device, console)
        if emit:
            return _emit(console, written(emit, file, graph.missing, options), out)
        if table:
            found = verb.table(graph, device, console)
            return console.show(
                found, partial(type(found).model_dump, mode="json"), partial(_show_table, show=show)
            )
        if dry_run:
            at_once = chosen.at_once or max(1, len(graph.missing))
            planned = foresee(file, graph, at_once, console)
            return console.show(planned, lambda it: it.as_dict(), show_plan)
        done = verb.carry_out(file, graph, chosen, console, console.board)
        document = partial(type(done).model_dump, mode="json")
        return console.show(done, document, show_swept, verb.failure_of(done))
