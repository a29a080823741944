"""What gates add to `kd evaluate`: their flags, and what is printed of them and of a release."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console

if TYPE_CHECKING:
    from kdcli.report.against import AgainstPart
    from kdcli.report.gates import Checked

_PANEL = "Gates"
MaxDrop = Annotated[
    list[str] | None,
    typer.Option(
        "--max-drop",
        metavar="KEY=VALUE",
        help="Gate: by how much a number may fall below the release's; negative: it must rise.",
        rich_help_panel=_PANEL,
    ),
]
MaxRatio = Annotated[
    list[str] | None,
    typer.Option(
        "--max-ratio",
        metavar="KEY=VALUE",
        help="Gate: new over old, of bytes, milliseconds and other amounts.",
        rich_help_panel=_PANEL,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="RELEASE",
        help="A run, a report.json with its predictions.npz, or an exported file: compared with on "
        "the same test images.",
        autocompletion=completion.runs,
    ),
]
Test = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Ask a run, model.pt or model.onnx about these labelled images (their test split, or "
        "all of them); trains nothing, and leaves the run's report as it is.",
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The gates as JUnit XML, a test case each.", rich_help_panel="Output"
    ),
]
Markdown = Annotated[
    bool,
    typer.Option(
        "--markdown", help="A summary for a pull request's comment.", rich_help_panel="Output"
    ),
]


def show_gates(console: Console, gates: "list[Checked]") -> None:
    """A row per gate."""
    console.table(
        ["gate", "limit", "value", "95% interval", ""],
        [
            [
                one.gate.title,
                one.limit,
                "null" if one.value is None else one.shown,
                one.interval,
                one.outcome,
            ]
            for one in gates
        ],
    )


def show_against(console: Console, found: "AgainstPart | None", details: bool = False) -> None:
    """Better, worse or alike, flips and ratios; with `details` the classes that lost, and costs."""
    from kdcli.report.against import against_brief, against_lines, against_sentence

    if found is None:
        return
    console.line()
    console.line(against_sentence(found))
    for line in against_lines(found) if details else against_brief(found):
        console.line(f"- {line}")
