"""Where words go: results on stdout, everything else on stderr. Home of rich."""

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from typing import IO, Any, TypeVar

from rich.console import Console as RichConsole
from rich.markup import escape as _escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from kdcli.errors import KdError

T = TypeVar("T")
WIDTH_OF_A_LOG = 160
"""Characters of a line where there is no terminal: names stay whole in files and CI logs."""


def escape(text: str) -> str:
    """Text that rich prints as it stands, and that can be written whatever file it names."""
    return _escape(_utf8(text))


def _utf8(text: str) -> str:
    """Surrogates, which stand for bytes of a file's name that are no UTF-8, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Words(RichConsole):
    """stderr: when nobody reads it any more, the work goes on in silence."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class _Results(RichConsole):
    """stdout: when nobody reads it any more, the command is over."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Console:
    """The terminal; a kdcli.progress.Progress, and the one place that prints.

    With `as_json`, stdout gets exactly one JSON document.
    """

    def __init__(self, as_json: bool = False, out: IO[str] | None = None) -> None:
        self.as_json = as_json
        self._stdout = out or sys.stdout  # kept: libraries are kept off stdout while kd works
        self._words = _Words(stderr=True, highlight=False, soft_wrap=True)
        width = None if self._stdout.isatty() else WIDTH_OF_A_LOG
        self._out = _Results(file=self._stdout, highlight=False, width=width)
        self._bar: Progress | None = None

    def say(self, text: str) -> None:
        """One line of what is being done."""
        self._words.print(escape(text), style="dim")

    def warn(self, text: str) -> None:
        """One line that should not be missed."""
        self._words.print(f"[bold yellow]warning:[/] {escape(text)}")

    def note(self, text: str) -> None:
        """How it goes: beside the bar on a terminal, else a line of its own."""
        if self._bar is None:
            self._words.print(escape(text))
        else:
            self._bar.update(self._bar.task_ids[0], note=text)

    def track(self, items: Iterable[T], total: int, label: str) -> Generator[T]:
        """Hand the items on, with a bar, rate and time left on a terminal, quietly elsewhere."""
        if not self._words.is_terminal or self._bar is not None:
            if self._bar is None:
                self._words.print(escape(f"{label}: {total:,} to do"))
            yield from items
            return
        columns = (
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}", table_column=Column(no_wrap=True)),
        )
        with Progress(*columns, console=self._words, transient=True) as self._bar:
            task = self._bar.add_task(escape(label), total=total, note="")
            try:
                for item in items:
                    yield item
                    self._bar.advance(task)
            finally:  # also where the caller breaks off
                if last := self._bar.tasks[0].fields["note"]:
                    self._words.print(escape(f"{label}: {last}"))
                self._bar = None

    def error(self, error: KdError) -> None:
        """What went wrong and the way out; a JSON document with --json."""
        if self.as_json:
            self.document({"error": error_document(error)})
            return
        self._words.print(f"[bold red]error:[/] {escape(error.what)}")
        if error.fix:
            self._words.print(f"  {escape(error.fix)}")

    def document(self, content: dict[str, Any]) -> None:
        """The one JSON document of --json."""
        self.json({"schema": 1, **content})

    def json(self, content: Any) -> None:
        """Plain JSON on stdout."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        print(_utf8(text), file=self._stdout, flush=True)

    def line(self, text: str = "") -> None:
        """One line of result."""
        self._out.print(escape(text), soft_wrap=True)

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], figures: bool = True
    ) -> None:
        """A table of result; all columns but the first hold figures, or else words."""
        table = Table(header_style="bold")
        for i, head in enumerate(heads):
            right = figures and i > 0
            table.add_column(escape(head), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(escape, row))
        self._out.print(table)

    def next(self, *commands: str) -> None:
        """What to type next."""
        for command in commands:
            self.line(f"next: {command}")


def error_document(error: KdError) -> dict[str, Any]:
    """An error as --json shows it."""
    return {"code": int(error.code), "what": error.what, "fix": error.fix}


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="dim")
