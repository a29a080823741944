"""The way in and out: signals and exceptions become words and exit codes."""

import contextlib
import errno
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any

import typer

from kdcli.data.workers import lost_worker
from kdcli.errors import DiskError, ExitCode, Interrupted, KdError, OutOfMemory, UsageError

CommandLineError = typer.BadParameter.__mro__[2]  # its place changed between typer's versions
GOES_ON = "interrupted; what was finished is on disk, the same command goes on from there"


_FULL = ("OutOfMemoryError", "can't allocate memory")
"""How torch says that memory is full, on a GPU and on a processor; torch is not imported here."""


class Terminated(KeyboardInterrupt):
    """SIGTERM; like Ctrl-C no Exception, so that nothing mistakes it for a failure of its own."""


def enter(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run the app with these arguments (default: the process's); its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminate)
    try:
        code = int(app(given, standalone_mode=False, prog_name="kd") or 0)
        if code == ExitCode.INTERRUPTED:  # typer's own, from before a command began
            raise Interrupted(GOES_ON)
        return code
    except SystemExit as error:  # how typer ends a completion
        return error.code if isinstance(error.code, int) else int(ExitCode.DONE)
    except BaseException as error:
        if isinstance(error, CommandLineError) and not error.format_message():  # type: ignore[attr-defined]
            return int(ExitCode.USAGE)  # no command at all: typer has shown the help
        if "--debug" in given:
            traceback.print_exc()
        from kdcli.console import Console

        known = in_words(error)
        Console("--json" in given).error(known)
        return int(known.code)


@contextlib.contextmanager
def door(as_json: bool) -> Iterator[Any]:
    """The console of one command; what libraries print meanwhile goes to stderr."""
    from kdcli.console import Console

    console = Console(as_json)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield console
    except KeyboardInterrupt as error:  # typer would swallow it without a word
        raise in_words(error) from error
    except BrokenPipeError as error:  # whoever reads our results has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.DONE) from error


def gate(console: Any, failure: KdError | None) -> int:
    """The exit code of gates; what was missed is said, with --json inside the one document."""
    if failure is None:
        return int(ExitCode.DONE)
    if not console.as_json:
        console.error(failure)
    return int(failure.code)


def in_words(error: BaseException) -> KdError:
    """Any exception as an error that a person can act on."""
    if isinstance(error, KdError):
        return error
    if isinstance(error, Terminated):
        return Interrupted(GOES_ON, ExitCode.TERMINATED)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Interrupted(GOES_ON)
    if isinstance(error, CommandLineError):
        command = getattr(getattr(error, "ctx", None), "command_path", "kd")
        return UsageError(error.format_message(), f"{command} --help")  # type: ignore[attr-defined]
    if lost := lost_worker(error):  # torch's signal handler raises wherever the program is
        return lost
    if isinstance(error, MemoryError) or any(sign in repr(error) for sign in _FULL):
        return OutOfMemory("out of memory", "try a smaller --set train.batch_size=...")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return DiskError(str(error), "free some space, or set KD_RUNS to another place")
    with tempfile.NamedTemporaryFile(
        "w", prefix="kd-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.writelines(traceback.format_exception(error))
    return KdError(
        f"a defect of kd itself: {type(error).__name__}: {error}",
        f"the whole story is in {log.name}; please report it",
    )


def _terminate(number: int, frame: Any) -> None:
    raise Terminated
