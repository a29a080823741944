"""`kd compare`: which of these is best."""

import csv
from io import StringIO
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Device, Json

if TYPE_CHECKING:
    from kdcli.report.candidates import Compared

MOST = 8
"""Columns that a screen shows; all of them are in --markdown and --csv."""
OF_A_SCREEN = ("test accuracy", "gain", "p (Holm)", "parameters", "ms", "Pareto front")


def show_compared(console: Console, found: "Compared") -> None:
    """The sentence first, then a row per candidate, then who can be told from whom."""
    from kdcli.core.text import counted, points
    from kdcli.report.candidates import short_names, table

    heads, rows = table(found)
    if len(heads) > MOST:
        differs = [head for head in heads[1:] if head in _differing(found)]
        wanted = [heads[0], *differs[: MOST - 1 - len(OF_A_SCREEN)], *OF_A_SCREEN]
        kept = [heads.index(head) for head in wanted if head in heads]
        heads, rows = [heads[i] for i in kept], [[row[i] for i in kept] for row in rows]
    console.line(found.sentence)
    console.table(heads, rows)
    console.line(f"gains over {found.against}; {found.test_images:,} test images of {found.data}")
    typed = [one.run for one in found.candidates]
    short = dict(zip(typed, short_names(typed), strict=True))
    for pair in found.pairs:
        if found.best in (pair.one, pair.other):
            ahead = pair.gain if pair.one == found.best else -pair.gain
            other = pair.other if pair.one == found.best else pair.one
            console.line(
                f"- {short[found.best]} over {short[other]}: {points(ahead)}, p = "
                f"{pair.p_value:.3g} after Holm over {counted(len(found.pairs), 'pair')}"
            )
    for note in found.notes:
        console.line(f"- {note}")
    if found.measured_on:
        console.line(f"- ms: one image in onnxruntime, all by turns, {found.measured_on}")


def _differing(found: "Compared") -> set[str]:
    return {key for one in found.candidates for key in one.differs}


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs, exported files, report.json files; those that differ in their seed alone "
            "are one candidate.",
            autocompletion=completion.runs,
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(help="Where the test images lie now, or others of the same classes."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Whom gains are over; default: the baseline among them, else the first."),
    ] = None,
    no_measure: Annotated[
        bool, typer.Option("--no-measure", help="Refuse to ask any model; nothing is timed.")
    ] = False,
    device: Device = "auto",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A table for a page or a comment.")
    ] = False,
    csv_: Annotated[
        bool, typer.Option("--csv", help="Plain numbers, a row per candidate.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Which of these is best, on the same test images? Paired tests between all of them, the
    Pareto front; trains nothing."""
    with door(json) as console:
        from kdcli.commands.compare import compare
        from kdcli.core.errors import UsageError

        if markdown + csv_ + json > 1:
            raise UsageError("--markdown, --csv and --json: one of them", "leave the others out")
        found = compare(
            runs,
            data=data,
            against=against,
            no_measure=no_measure,
            device=device,
            progress=console,
        )
        show = _show_markdown if markdown else _show_csv if csv_ else show_compared
        return console.show(found, lambda it: it.as_dict(), show)


def _show_markdown(console: Console, found: "Compared") -> None:
    from kdcli.report.candidates import table
    from kdcli.report.markdown import markdown_table

    for line in (f"**{found.sentence}**", "", *markdown_table(*table(found))):
        console.line(line)


def _show_csv(console: Console, found: "Compared") -> None:
    """A value per cell: intervals as two columns, lists joined."""
    rows = [_flat(one.model_dump(mode="json")) for one in found.candidates]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    text = StringIO()
    writer = csv.DictWriter(text, keys, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for line in text.getvalue().splitlines():
        console.line(line)


def _flat(raw: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            words = " ".join(map(str, value)) if isinstance(value, list) else value
            found[f"{before}{key}"] = "" if words is None else words
    return found
