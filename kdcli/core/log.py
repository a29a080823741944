"""run.log: what was said while a run was made, by what, on which machine, and what went wrong."""

import platform
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kdcli.core.errors import DiskError
from kdcli.core.links import append
from kdcli.core.machine import machine, memory_bytes
from kdcli.core.text import visible

STORY = "the whole story is in "
"""Begins the note by which an error names its log; `story_of` knows the note by it."""

# Those by whose version numbers change: arithmetic, models, decoding (pillow), exported files.
_PACKAGES = (
    "kdcli",
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "onnx",
    "onnxruntime",
    "numpy",
    "pillow",
)


@dataclass
class _Page:
    """An open log; `broken` once it could not be written."""

    path: Path
    broken: bool = False


class Logbook:
    """What one command says, kept in the log that was opened last.

    What is said while no log is open stands at the head of each that is opened later: a chain of
    runs (teacher, then student) has a log for each, and each tells how its command began.
    """

    def __init__(self, command: str = "", warn: Callable[[str], None] | None = None) -> None:
        """`command` is the command line; `warn` hears, once, of a log that cannot be written."""
        self._command = command
        self._warn = warn
        self._before: list[str] = []
        self._pages: list[_Page] = []

    def write(self, text: str) -> None:
        """One message, with the time; further lines of it are indented."""
        stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        # indented: a newline in somebody's file name cannot forge a message of its own
        line = f"{stamp}  " + "\n    ".join(visible(text).splitlines()) + "\n"
        if self._pages:
            self._append(self._pages[-1], line)
        else:
            self._before.append(line)

    @contextmanager
    def open(self, path: Path) -> Iterator[Callable[[str], None]]:
        """Append to `path` meanwhile; an error that passes is written with its traceback.

        Hands out `write`. The error learns where its story is (`story_of`). A log that cannot be
        written is told once, and stops nothing.
        """
        page, start = _Page(path), time.monotonic()  # the clock on the wall may be set meanwhile
        gap = "\n" if path.exists() else ""  # resumed, evaluated, exported: the log goes on
        self._append(page, gap + header(self._command) + "".join(self._before))
        self._pages.append(page)
        end = "done"
        try:
            yield self.write
        except Exception as error:
            end = self._fail(page, error)
            raise
        except BaseException:  # Ctrl-C and SIGTERM: no failure, and no traceback
            end = "interrupted"
            raise
        finally:
            self.write(f"{end} after {time.monotonic() - start:.1f} s")
            self._pages.pop()
            self.write(f"that part is told in {path}")  # into the outer log, or the next one

    def _fail(self, page: _Page, error: Exception) -> str:
        """Written once, in the innermost log; how it ended, in a word."""
        if not story_of(error):  # the same exception passes every log that is open around it
            self.write("".join(traceback.format_exception(error)))
            if not page.broken:  # nobody is sent to a file that is not there
                error.add_note(f"{STORY}{page.path}")
        return "failed"

    def _append(self, page: _Page, text: str) -> None:
        """Opened for each message: what is written is there, whatever happens next.

        A disk that is full or gone, or a link in its place, costs the log, never the training: the
        first refusal is told, and nothing more is tried.
        """
        if page.broken:
            return
        try:
            append(page.path, text)
        except DiskError as error:
            page.broken = True
            if self._warn:
                self._warn(f"{error.what}; going on")


def header(command: str) -> str:
    """When (with the zone: logs of several machines are compared), by what, on which machine.

    `command` is the command line, empty where kd was called from Python.
    """
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return visible(
        f"=== {now}  {command or 'called from Python'}\n"
        f"in {_here()}\n"
        f"with {', '.join(_versions())}\n"
        f"on {machine()}, {memory_bytes() / 1e9:.0f} GB memory\n"
    )


def story_of(error: BaseException) -> str:
    """`the whole story is in RUN/run.log`, where an error was written down; else empty."""
    return next((n for n in getattr(error, "__notes__", ()) if n.startswith(STORY)), "")


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # removed meanwhile
        return "a folder that is gone"


def _versions() -> Iterator[str]:
    # from what pip has recorded: importing torch to ask would take seconds
    yield f"python {platform.python_version()}"
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} missing"
