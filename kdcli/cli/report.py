"""`kd report`: the page of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json, Moved, Thing

if TYPE_CHECKING:
    from kdcli.commands.report import Drawn


def show_drawn(console: Console, found: "Drawn") -> None:
    """Where it lies, and what it lacks."""
    from kdcli.core.text import size_in_words

    console.line(f"page: {found.file} ({size_in_words(found.bytes)})")
    for title, why in found.lacking.items():
        console.line(f"- {title}: {why}")


def report(
    run: Thing = None,
    out: Annotated[
        Path | None, typer.Option(help="A file or a folder; default: report.html in the run's.")
    ] = None,
    data: Moved = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Draw report.html anew: one page with plots, images and all answers, to be shown to others."""
    with door(json) as console:
        from kdcli.commands.report import report

        found = report(run, out=out, data=data, progress=console)
        return console.show(found, lambda it: it.as_dict(), show_drawn)
