"""`kd compare`: which of these is best."""

import csv
import shlex
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Device, Json
from kdcli.core.text import in_csv

if TYPE_CHECKING:
    from kdcli.report.candidates import Compared

Show = Callable[[Console, "Compared"], None]
MOST = 4
"""Columns of what differs that a screen shows; all of them are in --markdown and --csv."""
OF_A_SCREEN = (
    "seeds",
    "accuracy",
    "95% interval",
    "gain (95%)",
    "p (Holm)",
    "params",
    "ms",
    "front",
)
SPARE = ("95% interval", "seeds")
"""Of these, what a narrow terminal can do without."""


def show_compared(console: Console, found: "Compared") -> None:
    """The sentence first, then a row per candidate, then who can be told from whom."""
    from kdcli.core.text import counted, points
    from kdcli.report.candidates import OWN, short_names, survey_table, table
    from kdcli.report.survey import HEADS as OF_SURVEY
    from kdcli.report.survey import scores

    console.line(found.sentence)
    heads, rows = survey_table(found) if found.survey else table(found)
    figures = OF_SURVEY if found.survey else OF_A_SCREEN
    console.table(*console.narrowed(*_of_a_screen(found, heads, rows, figures)))
    over = OWN if found.survey else found.against
    console.line(f"gains over {over}; {found.test_images:,} test images of {found.data}")
    if found.survey:
        console.line(scores(found.survey))
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
    if found.measured_on and not found.survey:
        console.line(f"- ms: one image in onnxruntime, all by turns, {found.measured_on}")
    if not found.plot:
        console.next(shlex.join(["kd", "report", *typed, "--out", "comparison.html"]))


def _of_a_screen(
    found: "Compared", heads: list[str], rows: list[list[str]], figures: Sequence[str]
) -> tuple[list[str], list[list[str]], list[str]]:
    """Columns of what differs, not too many, and these figures; and what a narrow terminal can do
    without, the dearest first."""
    differing = [head for head in heads if any(head in one.differs for one in found.candidates)]
    few = differing[:MOST]
    kept = [i for i, head in enumerate(heads) if i == 0 or head in few or head in figures]
    spare = [*few[:1], *SPARE, *few[1:]]
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in rows], spare


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
    survey: Annotated[
        bool,
        typer.Option("--survey", help="What each student keeps of its teacher, at which size."),
    ] = False,
    size_priority: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How much size matters in its distillation score; default: as the recipes say.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Accuracy against size and time: FILE.svg; with all tables, a page: FILE.html.",
            show_default=False,
        ),
    ] = None,
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
        from kdcli.commands.comparison_file import check_plot, draw_into
        from kdcli.core.errors import UsageError

        show = as_asked(markdown, csv_, json)
        if size_priority is not None and not survey:
            raise UsageError("--size-priority is of --survey", "add --survey")
        if plot:
            check_plot(plot)
        found = compare(
            runs,
            data=data,
            against=against,
            no_measure=no_measure,
            survey=survey,
            size_priority=size_priority,
            device=device,
            progress=console,
        )
        if plot:
            found = draw_into(found, plot)
            console.say(f"plot: {plot}")
        return console.show(found, lambda it: it.as_dict(), show, found.failure)


def as_asked(markdown: bool, csv_: bool, json: bool) -> Show:
    """How a comparison is shown, but for --json.

    Raises:
        UsageError: in more than one way.
    """
    from kdcli.core.errors import UsageError

    if markdown + csv_ + json > 1:
        raise UsageError("--markdown, --csv and --json: one of them", "leave the others out")
    return show_markdown if markdown else show_csv if csv_ else show_compared


def show_markdown(console: Console, found: "Compared") -> None:
    """After --markdown."""
    from kdcli.report.candidates import survey_table, table
    from kdcli.report.markdown_text import markdown_table, plain
    from kdcli.report.survey import scores

    lines = ["", *markdown_table(*(survey_table if found.survey else table)(found))]
    if found.survey:
        lines += ["", plain(scores(found.survey))]
    for line in (f"**{plain(found.sentence)}**", *lines):
        console.line(line)


def show_csv(console: Console, found: "Compared") -> None:
    """A value per cell: intervals as two columns, lists joined; behind a candidate its account."""
    accounts = found.survey.accounts if found.survey else []
    surveyed = {one.run: _flat(one.model_dump(mode="json"), "survey.") for one in accounts}
    rows = [
        _flat(one.model_dump(mode="json")) | surveyed.get(one.run, {}) for one in found.candidates
    ]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    keys = [key for key in keys if not _in_parts(key, keys, rows)]
    text = StringIO()
    writer = csv.DictWriter(text, keys, "", "ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for line in text.getvalue().split("\n")[:-1]:
        console.line(line)


def _in_parts(key: str, keys: Sequence[str], rows: Sequence[dict[str, Any]]) -> bool:
    """An interval that is missing somewhere; elsewhere it is two columns."""
    return not any(row.get(key) for row in rows) and any(k.startswith(f"{key}.") for k in keys)


def _flat(raw: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            words = " ".join(map(str, value)) if isinstance(value, list) else value
            words = int(words) if isinstance(words, bool) else words
            found[f"{before}{key}"] = "" if words is None else in_csv(words)
    return found
