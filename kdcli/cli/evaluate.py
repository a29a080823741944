"""`kd evaluate`: the report, gates, and what to do next."""

import shlex
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Details, Device, Json, Max, Min, Moved, NoTrain, Processes, Thing
from kdcli.cli.gate import (
    Against,
    Junit,
    Markdown,
    MaxDrop,
    MaxRatio,
    Test,
    show_against,
    show_gates,
)
from kdcli.cli.several import in_several
from kdcli.cli.train import on_data
from kdcli.core.text import counted

if TYPE_CHECKING:
    from kdcli.commands.evaluate import Evaluated
    from kdcli.commands.evaluate_new_images import EvaluatedAlone
    from kdcli.report.gates import Checked
    from kdcli.report.schema import Report


def show_evaluated(
    console: Console, result: "Evaluated", details: bool = False, data: str | None = None
) -> None:
    """After `kd evaluate`; `data` is where they lie now."""
    from kdcli.report.screen import shown_at

    show_report(console, result.report, result.gates, details)
    show_against(console, result.report.against, details)
    console.line(f"report: {shown_at(result.run.path / 'report.json')}")
    console.next(f"kd export {shlex.quote(str(result.run.path))}{on_data(data)}")


def show_alone(console: Console, result: "EvaluatedAlone", details: bool = False) -> None:
    """After `kd evaluate --test`."""
    show_report(console, result.report, result.gates, details)
    show_against(console, result.report.against, details)


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
        show_gates(console, gates)


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
    from kdcli.report.screen import NOTES, ROWS, SPARE, gain_bar, notes_in_order, overview

    if c := report.comparison:
        console.line(f"gain {gain_bar(c.gain_ci95.low, c.gain, c.gain_ci95.high)}")
    heads, rows = overview(report)
    console.table(*console.narrowed(heads, rows[:ROWS], SPARE))
    left_out = [f"{len(rows) - ROWS} more models"] if len(rows) > ROWS else []
    for line in notes_in_order(report)[:NOTES]:
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
    max_drop: MaxDrop = None,
    max_ratio: MaxRatio = None,
    against: Against = None,
    test: Test = None,
    data: Moved = None,
    no_train: NoTrain = False,
    device: Device = "auto",
    processes: Processes = None,
    junit: Junit = None,
    markdown: Markdown = False,
    details: Details = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Compare a student with its teacher and an equal-size baseline (trained if there is none)."""
    with door(json, goes_on=True) as console:
        in_several(console, processes, device)
        from kdcli.commands.gate_files import GateFiles
        from kdcli.report.gates import missed

        _refuse_together(markdown, json, test, seeds, data)
        files = GateFiles(junit)
        files.prepare()
        gates: dict[str, Any] = {
            "minima": minima,
            "maxima": maxima,
            "drops": max_drop,
            "ratios": max_ratio,
            "against": against,
            "device": device,
            "progress": console,
        }
        result: Any
        show: Any
        if test is not None:
            from kdcli.commands.evaluate_new_images import evaluate_new_images

            result = alone = evaluate_new_images(run, test, **gates)
            title, more, show = alone.model, {"model": alone.model}, show_alone
        else:
            from kdcli.commands.evaluate import evaluate

            result = whole = evaluate(run, seeds=seeds, data=data, no_train=no_train, **gates)
            title = whole.run.path.name
            more, show = {"run": str(whole.run.path)}, partial(show_evaluated, data=data)
        show = partial(show, details=details)
        shown = partial(_show_markdown, title=title) if markdown else show
        files.write(result.report, result.gates, title, console)
        return console.show(
            result,
            lambda it: report_document(it.report, it.gates, **more),
            shown,
            missed(result.gates),
        )


def _refuse_together(
    markdown: bool, json: bool, test: str | None, seeds: int, data: str | None
) -> None:
    from kdcli.core.errors import UsageError

    if markdown and json:
        raise UsageError("--markdown and --json: one of them", "leave the other out")
    if test is None:
        return
    if seeds > 1:
        raise UsageError("--test asks one finished model; --seeds trains more", "leave one out")
    if data is not None:
        raise UsageError(
            "--data says where the run's own images lie, --test names others", "leave one out"
        )


def _show_markdown(console: Console, result: "Evaluated | EvaluatedAlone", title: str) -> None:
    from kdcli.report.summary import summary

    console.line(summary(result.report, result.gates, title).rstrip("\n"))
