"""`kd report`: the page of a run, or of several."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json

if TYPE_CHECKING:
    from kdcli.commands.report import Drawn


def show_drawn(console: Console, found: "Drawn") -> None:
    """Who is best, where it lies, and what it lacks."""
    from kdcli.core.text import size_in_words

    if found.sentence:
        console.line(found.sentence)
    console.line(f"page: {found.file} ({size_in_words(found.bytes)})")
    for title, why in found.lacking.items():
        console.line(f"- {title}: {why}")


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="A run folder, default: the newest finished run; or several of what kd compare "
            "takes.",
            autocompletion=completion.runs,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A file or a folder; default: report.html in the run's, of several in this one."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Where the images lie now; of several also others of the same classes.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Of several: whom gains are over; default: as kd compare."),
    ] = None,
    no_measure: Annotated[
        bool,
        typer.Option("--no-measure", help="Of several: refuse to ask any model; nothing is timed."),
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Draw report.html anew: one page with plots, images and all answers, to be shown to others.
    Of several runs: what kd compare says, drawn."""
    with door(json) as console:
        from kdcli.commands.report import report, report_of_several
        from kdcli.core.errors import UsageError

        things = runs or []
        if len(things) > 1 or (things and against):
            found = report_of_several(
                things,
                out=out,
                data=data,
                against=against,
                no_measure=no_measure,
                progress=console,
            )
        elif against or no_measure:
            raise UsageError("--against and --no-measure are of several runs", "name them")
        else:
            found = report(next(iter(things), None), out=out, data=data, progress=console)
        return console.show(found, lambda it: it.as_dict(), show_drawn)
