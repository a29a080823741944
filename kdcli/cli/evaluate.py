"""`kd evaluate`: the report, gates, and what to do next."""

import shlex
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Details, Device, Json, Max, Min, Moved, NoTrain, Thing
from kdcli.cli.train import on_data
from kdcli.core.text import counted

if TYPE_CHECKING:
    from kdcli.commands.evaluate import Evaluated
    from kdcli.report.gates import Checked
    from kdcli.report.schema import Report


def show_evaluated(
    console: Console, result: "Evaluated", details: bool = False, data: str | None = None
) -> None:
    """After `kd evaluate`; `data` is where they lie now."""
    show_report(console, result.report, result.gates, details)
    console.line(f"report: {result.run.path / 'report.html'}")
    console.next(f"kd export {shlex.quote(str(result.run.path))}{on_data(data)}")


def report_document(report: "Report", gates: "list[Checked]", **more: Any) -> dict[str, Any]:
    """report.json, where it lies and what was written, the gates."""
    return report.as_dict() | more | {"gates": [gate.as_dict() for gate in gates]}


def show_report(
    console: Console, report: "Report", gates: "list[Checked]", details: bool = False
) -> None:
    """The verdict first, then what fits a screen, or all figures; the gates."""
    if report.verdict:
        console.line(report.verdict)
    (_show_all if details else _show_overview)(console, report)
    if gates:
        console.table(
            ["gate", "limit", "value", ""],
            [
                [
                    f"{g.gate.kind} {g.gate.key}",
                    f"{g.gate.limit:g}",
                    "null" if g.value is None else g.shown,
                    g.outcome,
                ]
                for g in gates
            ],
        )


def _show_all(console: Console, report: "Report") -> None:
    from kdcli.report.licences import licence_line
    from kdcli.report.sentences import figures
    from kdcli.report.table import heads, table

    console.table(["", *heads(report)], table(report))
    for line in [*figures(report), *report.notes]:
        console.line(f"- {line}")
    if report.licences:
        console.line(f"- {licence_line(report.licences)}")


def _show_overview(console: Console, report: "Report") -> None:
    from kdcli.report.licences import licence_line
    from kdcli.report.screen import NOTES, ROWS, SPARE, gain_bar, overview

    if c := report.comparison:
        console.line(f"gain {gain_bar(c.gain_ci95.low, c.gain, c.gain_ci95.high)}")
    heads, rows = overview(report)
    console.table(*console.narrowed(heads, rows[:ROWS], SPARE))
    left_out = [f"{len(rows) - ROWS} more models"] if len(rows) > ROWS else []
    for line in report.notes[:NOTES]:
        console.line(f"- {line}")
    if report.licences and not report.licences.all_permissive:
        console.line(f"- {licence_line(report.licences)}")
    if more := len(report.notes[NOTES:]):
        left_out.append(counted(more, "more note"))
    if left_out:
        console.line(f"- {' and '.join(left_out)}: --details")


def evaluate(
    run: Thing = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many, from the run's own on.")] = 1,
    minima: Min = None,
    maxima: Max = None,
    data: Moved = None,
    no_train: NoTrain = False,
    device: Device = "auto",
    details: Details = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Compare a student with its teacher and an equal-size baseline (trained if there is none)."""
    with door(json, goes_on=True) as console:
        from kdcli.commands.evaluate import evaluate
        from kdcli.report.gates import missed

        result = evaluate(
            run,
            seeds=seeds,
            minima=minima,
            maxima=maxima,
            data=data,
            no_train=no_train,
            device=device,
            progress=console,
        )
        show = partial(show_evaluated, details=details, data=data)
        return console.show(result, _document, show, missed(result.gates))


def _document(result: "Evaluated") -> dict[str, Any]:
    return report_document(result.report, result.gates, run=str(result.run.path))
