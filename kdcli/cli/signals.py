"""Signals that ask kd to stop, in good order; a second one stops it at once."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from kdcli.core.errors import ExitCode
from kdcli.core.stopping import forget, stop

_AGAIN_SECONDS = 0.05
stopped: list[int] = []
"""The signal that asked to stop."""


class Terminated(KeyboardInterrupt):
    """SIGTERM; like Ctrl-C no Exception, so that nothing mistakes it for a failure of its own."""


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """A signal ends the command whatever became of it on the way: a library may have caught it, or
    raised an error of its own."""
    try:
        yield
    finally:
        if stopped:
            raise KINDS[stopped[0]]


@contextlib.contextmanager
def handled(for_good: bool) -> Iterator[None]:
    """All of `KINDS` stop kd in good order; Ctrl-C or SIGTERM for a second time, at once.

    `for_good` where the process ends with kd: that takes seconds too.
    """
    before = {}
    stopped.clear()
    forget()
    hook, sys.unraisablehook = sys.unraisablehook, _raised_in_vain
    with contextlib.suppress(ValueError):  # not in the main thread
        for number in KINDS:
            was = signal.getsignal(number)
            if was is signal.SIG_IGN:  # nohup, a shell's background
                continue
            if was is signal.SIG_DFL or number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, _stop)  # else submitit's: it requeues a job
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, was in before.items():  # all is said: nothing is left to be tidied up
            signal.signal(number, _leave if for_good else was or signal.SIG_DFL)


def pass_on(to: Callable[[int], None]) -> None:
    """From now on they are somebody else's business, who is told their number."""
    for number in KINDS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, lambda number, _: to(number))


KINDS: dict[int, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    # a terminal that is closed; and by which a scheduler says that time is nearly over
    **{
        getattr(signal, name): Terminated
        for name in ("SIGHUP", "SIGUSR1", "SIGUSR2")
        if hasattr(signal, name)
    },
}


def _stop(number: int, frame: Any) -> None:
    if stopped and stopped[0] not in (signal.SIGINT, signal.SIGTERM):
        return  # a scheduler gives notice, and then says it again in other words
    if stopped:
        _leave(number, frame)
    signal.signal(number, _leave)
    stopped.append(number)
    stop(KINDS[number])


def _raised_in_vain(found: "sys.UnraisableHookArgs") -> None:
    """A signal that came while an object was cleared away (a full collection of garbage takes a
    quarter of a second, before each timing): Python only prints what is raised there. So it comes
    again."""
    if not (stopped and issubclass(found.exc_type, KeyboardInterrupt)):
        sys.__unraisablehook__(found)
        return
    number = stopped.pop()
    signal.signal(number, _stop)
    again = threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main, [number])
    again.daemon = True
    again.start()


def _leave(number: int, frame: Any) -> None:
    """No tidying up: locks die with the process, and files are whole or not there."""
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\n")  # progress bars hide the cursor
    os._exit(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)
