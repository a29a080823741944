"""After `kd evaluate` and `kd export`: the report, gates, and what to do next."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli.console import Console, error_document
from kdcli.cli.entry import door, gate
from kdcli.cli.flags import Debug, Device, Json, Max, Min, Thing

if TYPE_CHECKING:
    from kdcli.commands.evaluate import Evaluated
    from kdcli.report.gates import Checked


def evaluated(console: Console, result: "Evaluated") -> None:
    """After `kd evaluate`."""
    run = shlex.quote(str(result.run.path))
    _report(console, result.report, result.gates, {"run": str(result.run.path)})
    if not console.as_json:
        console.line(f"report: {result.run.path / 'report.md'}")
        console.next(f"kd export {run}")


def _report(console: Console, report: Any, gates: "list[Checked]", more: dict[str, Any]) -> None:
    from kdcli.report.gates import missed
    from kdcli.report.licences import licence_line
    from kdcli.report.sentences import figures
    from kdcli.report.table import heads, table

    failure = missed(gates)
    if console.as_json:
        content = report.as_dict() | more | {"gates": [gate.as_dict() for gate in gates]}
        console.document(content | ({"error": error_document(failure)} if failure else {}))
        return
    console.table(["", *heads(report)], table(report))
    for line in [*figures(report), *report.notes]:
        console.line(f"- {line}")
    if report.licences:
        console.line(f"- {licence_line(report.licences)}")
    if report.verdict:
        console.line()
        console.line(report.verdict)
    if gates:
        console.table(
            ["gate", "limit", "value", ""],
            [
                [
                    f"{g.gate.kind} {g.gate.key}",
                    f"{g.gate.limit:g}",
                    "null" if g.value is None else f"{g.value:.6g}",
                    "passed" if g.passed else "MISSED",
                ]
                for g in gates
            ],
        )


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
        from kdcli.report.gates import missed

        result = evaluate(
            run, seeds=seeds, minima=minima, maxima=maxima, device=device, progress=console
        )
        evaluated(console, result)
        return gate(console, missed(result.gates))
