"""The way in and out: signals and exceptions become words and exit codes."""

import contextlib
import errno
import io
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import typer

from kdcli.cli import signals
from kdcli.cli.console import Console
from kdcli.cli.full_memory import full_memory
from kdcli.cli.mistakes import meant
from kdcli.cli.several import among_others
from kdcli.core.errors import (
    DiskError,
    ExitCode,
    Interrupted,
    KdError,
    OutOfMemory,
    UsageError,
)
from kdcli.core.files import FULL, HANDLES, MORE_HANDLES, way_out
from kdcli.core.log import STORY, header, story_of
from kdcli.core.openmp import wait_briefly
from kdcli.core.world import launched_as
from kdcli.data.workers import lost_worker

CommandLineError = typer.BadParameter.__mro__[2]  # its place changed between typer's versions
STOPPED = "interrupted"
GOES_ON = "interrupted; what was done is on disk, the same command{once} goes on from there"
SCRATCH = "TMPDIR=FOLDER in the environment"
_command: ContextVar[str] = ContextVar("command", default="")
"""The command line, for logs."""


def enter(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run the app with these arguments (default: the process's); its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    wait_briefly()
    _open_streams()
    _mend_width()
    with signals.handled(for_good=arguments is None):
        code = _run(app, given)
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    return code


def _follows() -> bool:
    """Whether this is one of several processes, and not the one that speaks."""
    try:
        return not launched_as().is_first
    except UsageError:
        return False


def _called(app: typer.Typer, given: list[str]) -> int:
    def run() -> int:
        return int(app(given, standalone_mode=False, prog_name="kd") or 0)

    world = launched_as()
    return run() if world.is_alone else among_others(world, run, in_words)


def _run(app: typer.Typer, given: list[str]) -> int:
    before = _command.set(shlex.join(["kd", *given]))
    try:
        code = _called(app, given)
        if code == ExitCode.INTERRUPTED:  # typer's own, from before a command began
            raise signals.KINDS[signals.stopped[0]] if signals.stopped else Interrupted(STOPPED)
        return code
    except SystemExit as error:  # how typer ends a completion, and help that nobody reads
        if isinstance(error.__context__, OSError) and _reader_is_gone(error.__context__):
            return int(ExitCode.DONE)
        return error.code if isinstance(error.code, int) else int(ExitCode.DONE)
    except BaseException as error:
        if isinstance(error, CommandLineError) and not error.format_message():  # type: ignore[attr-defined]
            return int(ExitCode.USAGE)  # no command at all: typer has shown the help
        if "--debug" in given:
            traceback.print_exc()
        known = in_words(error)
        if known.code == ExitCode.OUT_OF_MEMORY:
            traceback.clear_frames(error.__traceback__)  # what they hold leaves no room for a word
        if _follows():
            return int(known.code)
        try:
            Console("--json" in given).error(known)
        except OSError:  # stdout is full, or nobody reads it
            Console().error(known)
        return int(known.code)
    finally:
        _command.reset(before)


@contextlib.contextmanager
def door(as_json: bool, goes_on: bool = False) -> Iterator[Console]:
    """The console of one command; what libraries print meanwhile goes to stderr.

    `goes_on` where the same command again continues what was interrupted.
    """
    console = Console(as_json, command=_command.get())
    try:
        with contextlib.redirect_stdout(sys.stderr), signals.heeded():
            yield console
    except KeyboardInterrupt as error:  # typer would swallow it without a word
        known = in_words(error)
        if goes_on and known.what == STOPPED:
            once = " without --again" if "--again" in _command.get().split() else ""
            known.what = GOES_ON.format(once=once)
        raise known from error
    except OSError as error:
        if not _reader_is_gone(error):
            raise
        raise typer.Exit(ExitCode.DONE) from error


def _reader_is_gone(error: OSError) -> bool:
    """Whoever reads our results has enough, as in `kd list runs | head -1`."""
    odd = os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or odd


def _open_streams() -> None:
    """Streams that were closed lead nowhere; letters that one lacks are told by their number."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for good
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _mend_width() -> None:
    """COLUMNS=0 would leave no room for a word."""
    width = os.environ.get("COLUMNS", "")
    if not (width.isascii() and width.isdigit() and int(width)):
        os.environ.pop("COLUMNS", None)


def _flush(stream: Any) -> None:
    """What cannot be written by now never will be: Python would complain of it at its end."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def in_words(error: BaseException) -> KdError:
    """Any exception as an error that a person can act on; names the log that has its story."""
    known = _known(error)
    story = story_of(error)
    if story and known.code != ExitCode.USAGE and story not in known.fix:  # a typo has none
        known.fix = "\n".join(filter(None, (known.fix, story)))
    return known


def _known(error: BaseException) -> KdError:
    told = isinstance(error, OutOfMemory | KeyboardInterrupt | CommandLineError)
    if not told and (lacks := full_memory(error, shlex.split(_command.get())[1:2])):
        return lacks
    return error if isinstance(error, KdError) else _in_words(error)


def _in_words(error: BaseException) -> KdError:
    if isinstance(error, signals.Terminated):
        return Interrupted(STOPPED, ExitCode.TERMINATED)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Interrupted(STOPPED)
    if isinstance(error, CommandLineError):
        return meant(error, shlex.split(_command.get())[1:])
    if lost := lost_worker(error):  # torch's signal handler raises wherever the program is
        return lost
    others = sys.modules.get("kdcli.training.processes.company")  # where kd is not alone
    if others and (left := others.left_by(error)):
        found: KdError = left
        return found
    if isinstance(error, OSError) and (told := _from_system(error)):
        return told
    if isinstance(error, RuntimeError) and "determine home" in str(error):  # pathlib's words
        return UsageError("~ or ~NAME: no home folder is known for it", "give the whole path")
    return KdError(
        f"a defect of kd itself: {type(error).__name__}: {error}",
        f"{story_of(error) or _written_down(error)}; please report it",
    )


def _from_system(error: OSError) -> KdError | None:
    """What the system refused, of a file that nobody on the way had words for; None where that may
    be a defect: no file is named, or one of kd's own is."""
    why, file = error.strerror or str(error), error.filename
    if error.errno in (*FULL, errno.EROFS, errno.EFBIG):
        if file is None:
            return DiskError(
                f"what is printed, or a scratch file: cannot be written ({why})",
                f"{way_out(error, elsewhere=SCRATCH)} for scratch files",
            )
        return DiskError(f"{file}: cannot be written ({why})", way_out(error))
    if "No usable temporary directory" in why:
        return DiskError(
            "no folder for scratch files that can be written to",
            f"{SCRATCH} names one",
        )
    if error.errno in HANDLES:
        return DiskError(f"{file or 'a pipe or scratch file'}: {why}", MORE_HANDLES)
    if file is None or _is_kds_own(file):
        return None
    if error.errno in _MISTYPED:
        return UsageError(f"{file}: {why}", "check the path")
    return DiskError(
        f"{file}: cannot be used ({why})", "its permissions, its mount and its disk decide that"
    )


_MISTYPED = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO),
    *(errno.EINVAL, errno.EEXIST, errno.ENOTEMPTY),
)
"""What a path that was given may be."""


def _is_kds_own(file: object) -> bool:
    """Whether it came with kd: nobody has misspelt it."""
    return str(file).startswith(str(Path(__file__).parents[1]))


def _written_down(error: BaseException) -> str:
    """Where there is no run whose log could hold it."""
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="kd-",
            suffix=".log",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as log:
            log.write(header(_command.get()))
            log.writelines(traceback.format_exception(error))
    except OSError:
        return "--debug shows the whole story"
    return f"{STORY}{log.name}"
