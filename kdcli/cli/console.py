"""Where words go: results on stdout, everything else on stderr. Home of rich."""

import codecs
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, TypeVar

from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.console import JustifyMethod
from rich.live import Live
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

from kdcli.core.errors import ExitCode, KdError
from kdcli.core.json_text import to_json
from kdcli.core.log import Logbook
from kdcli.core.progress import heeding
from kdcli.core.text import message, visible

_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
_ERROR = ("error:", "bold red")

T = TypeVar("T")
R = TypeVar("R")
WIDTH_OF_A_LOG = 400
"""Characters of a line where there is no terminal: names stay whole in files and CI logs."""

COLUMN_WIDTH = 10
"""Characters that a column of a table needs to be read."""


# Neither reads markup or emoji: `[/]` and `:x:` in the name of a file are those very letters.
class _Words(RichConsole):
    """stderr: when nobody reads it any more, the work goes on in silence."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class _Results(RichConsole):
    """stdout: when nobody reads it any more, the command is over."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Console:
    """The terminal; a `core.progress.Progress`, and the one place that prints.

    With `as_json`, stdout gets exactly one JSON document.
    """

    def __init__(
        self, as_json: bool = False, out: IO[str] | None = None, command: str = ""
    ) -> None:
        self.as_json = as_json
        self.command = command
        """The command line that is being carried out, as it was typed."""
        self._stdout = out or sys.stdout  # kept: libraries are kept off stdout while kd works
        self._words = _Words(stderr=True, soft_wrap=True, **_PLAIN)
        width = None if self._stdout.isatty() else WIDTH_OF_A_LOG
        self._out = _Results(file=self._stdout, width=width, **_PLAIN)
        self._bar: Progress | None = None
        self._live: Live | None = None
        self._logbook = Logbook(command, self._show_warning)

    def say(self, text: str) -> None:
        """One line of what is being done."""
        self._logbook.write(text)
        self._tell(text, "dim")

    def warn(self, text: str) -> None:
        """One line that should not be missed."""
        self._logbook.write(f"warning: {text}")
        self._show_warning(text)

    def _show_warning(self, text: str) -> None:
        self._tell(text, head=("warning:", "bold yellow"))

    def _tell(self, text: str, style: str = "", head: tuple[str, str] | None = None) -> None:
        """On stderr; where that leads to a full disk, the work goes on in silence."""
        words = Text.assemble(head, " ") if head else Text()
        try:
            self._words.print(words.append(message(text), style))
        except OSError:
            self._words.quiet = True

    def log(self, path: Path) -> AbstractContextManager[Callable[[str], None]]:
        """Meanwhile, keep what is said in this file too, and the traceback of what fails."""
        return self._logbook.open(path)

    def note(self, text: str) -> None:
        """How it goes: beside the bar on a terminal, else a line of its own."""
        self._logbook.write(text)
        if self._bar is None:
            self._tell(text)
        else:
            self._bar.update(self._bar.task_ids[0], note=visible(text))

    def track(self, items: Iterable[T], total: int, label: str) -> Generator[T]:
        """Hand the items on, with a bar, rate and time left on a terminal, quietly elsewhere."""
        self._logbook.write(f"{label}: {total:,} to do")
        if not self._words.is_terminal or self._bar is not None:
            if self._bar is None:
                self._tell(f"{label}: {total:,} to do")
            yield from heeding(items)
            return
        one_line = Column(no_wrap=True)
        columns = (
            TextColumn("{task.description}", markup=False, table_column=one_line),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", "dim", markup=False, table_column=one_line),
        )
        with Progress(*columns, console=self._words, transient=True) as self._bar:
            task = self._bar.add_task(visible(label), total=total, note="")
            try:
                for item in heeding(items):
                    yield item
                    self._bar.advance(task)
            finally:  # also where the caller breaks off
                if last := self._bar.tasks[0].fields["note"]:
                    self._tell(f"{label}: {last}")
                self._bar = None

    def board(self, lines: Sequence[str]) -> None:
        """On a terminal these lines stand below all that is said, until others do; none ends it."""
        if lines and self._live is None and self._words.is_terminal:
            self._live = Live(console=self._words, transient=True, auto_refresh=False)
            self._live.start()
        if self._live is not None:
            self._live.update(Text("\n".join(map(visible, lines))), refresh=True)
        if not lines and self._live is not None:
            self._live.stop()
            self._live = None

    def error(self, error: KdError) -> None:
        """What went wrong and the way out; a JSON document with --json."""
        if self.as_json:
            self.document({"error": error_document(error)})
            return
        self._tell(error.what, head=_ERROR)
        if error.fix:
            self._tell(f"  {error.fix}")

    def confirm(self, question: str) -> bool | None:
        """What the person says; None where nobody can be asked."""
        streams = (sys.stdin, self._stdout, sys.stderr)
        if self.as_json or not all(stream and stream.isatty() for stream in streams):
            return None
        self._words.print(Text.assemble(visible(question), " ", ("[y/N]", "dim"), " "), end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def show(
        self,
        result: R,
        document: Callable[[R], dict[str, Any]],
        screen: Callable[["Console", R], None],
        failure: KdError | None = None,
    ) -> int:
        """A result as its one JSON document with --json, else on the screen; the exit code.

        A `failure`, such as a missed gate, is told behind it; with --json inside the document, and
        in one line on stderr, where logs are read.
        """
        if self.as_json:
            error = {"error": error_document(failure)} if failure else {}
            self.document(document(result) | error)
            if failure:
                self._tell(failure.what, head=_ERROR)
        else:
            screen(self, result)
            if failure:
                self.error(failure)
        return int(failure.code if failure else ExitCode.DONE)

    def document(self, content: dict[str, Any]) -> None:
        """The one JSON document of --json, with the version of its keys."""
        self.json({"schema": 1, **content})

    def json(self, content: Any) -> None:
        """Plain JSON on stdout; in ASCII where UTF-8 cannot hold it, or stdout is not UTF-8."""
        text = to_json(content)
        if not _takes(text, self._stdout):
            text = to_json(content, ascii_only=True)
        print(text, file=self._stdout, flush=True)

    def line(self, text: str = "") -> None:
        """One line of result."""
        self._out.print(message(text), soft_wrap=True)

    def text(self, text: str) -> None:
        """A file on stdout, as it is: tabs, too."""
        print(text, end="", file=self._stdout, flush=True)

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], figures: bool = True
    ) -> None:
        """A table of result; all columns but the first hold figures, or else words.

        Where the terminal is too narrow for that, two lines a row; words and names stay whole.
        """
        cells = [list(row) for row in rows]
        if not self.fits(heads, cells, figures):
            for first, *others in cells:
                self.line(first)
                named = zip(heads[1:], others, strict=True)
                self.line("  " + ", ".join(f"{head} {cell}".strip() for head, cell in named))
            return
        columns = _columns(heads, cells)
        least = [_least_width(column, figures and i > 0) for i, column in enumerate(columns)]
        table = Table(header_style="bold")
        for i, (head, *_) in enumerate(columns):
            justify: JustifyMethod = "right" if figures and i > 0 else "left"
            whole = _widest(columns[i]) == least[i]  # rich would wrap it all the same
            table.add_column(head, justify=justify, overflow="fold", no_wrap=whole)
        for row in cells:
            table.add_row(*map(visible, row))
        self._out.print(table)

    def fits(self, heads: Sequence[str], cells: list[list[str]], figures: bool = True) -> bool:
        """Whether a table is as wide as the terminal at most."""
        longest = max((len(row[0]) for row in cells), default=0)
        columns = enumerate(_columns(heads, cells))
        framed = sum(_least_width(column, figures and i > 0) + 3 for i, column in columns) + 1
        return self._out.width >= max(COLUMN_WIDTH * len(heads), 2 * longest, framed)

    def narrowed(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], spare: Sequence[str]
    ) -> tuple[list[str], list[list[str]]]:
        """A table without as many of the `spare` columns, the last of them first, as it takes to
        fit the terminal."""
        cells = [list(row) for row in rows]
        for count in range(len(spare), -1, -1):
            gone = spare[count:]
            kept = [i for i, head in enumerate(heads) if head not in gone]
            found = [heads[i] for i in kept], [[row[i] for i in kept] for row in cells]
            if self.fits(*found):
                break
        return found

    @property
    def draws(self) -> bool:
        """Whether stdout can hold block characters."""
        return _takes("█", self._stdout)

    def next(self, *commands: str) -> None:
        """What to type next."""
        for command in commands:
            self.line(f"next: {command}")


def error_document(error: KdError) -> dict[str, Any]:
    """An error as --json shows it."""
    return {"code": int(error.code), "what": error.what, "fix": error.fix}


def _columns(heads: Sequence[str], cells: list[list[str]]) -> list[list[str]]:
    return [list(map(visible, column)) for column in zip(heads, *cells, strict=True)]


def _least_width(column: list[str], figures: bool) -> int:
    """A column's width where figures stay whole, or else words."""
    head, *cells = column
    parts = cells if figures else [word for cell in cells for word in cell.split()]
    return _widest([*head.split(), *parts])


def _widest(texts: list[str]) -> int:
    """As a terminal counts."""
    return max(map(cell_len, texts), default=0)


def _takes(text: str, stream: IO[str]) -> bool:
    """Whether it comes out as UTF-8: no for lone surrogates, which names of other bytes hold."""
    try:
        encoding = codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name
        text.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return encoding == "utf-8"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="dim")
