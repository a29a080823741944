"""How a verb tells what it is doing, without knowing where the words go.

Rooms below the command line print nothing: they are handed a Progress, which is the terminal
(`cli/console.py`), or nobody (`Silent`), or whatever a caller from Python makes of it.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from kdcli.core.log import Logbook
from kdcli.core.stopping import heed
from kdcli.core.text import duration

T = TypeVar("T")


class Progress(Protocol):
    """Words and bars for the person who waits; never results."""

    def say(self, text: str) -> None:
        """One line of what is being done or was decided."""

    def warn(self, text: str) -> None:
        """One line that the person should not miss."""

    def track(self, items: Iterable[T], total: int, label: str) -> Generator[T]:
        """Hand the items on, showing how many of `total` are done.

        `items` may be a generator, which knows no length, and the caller may stop early.
        """

    def note(self, text: str) -> None:
        """How it goes: beside the bar, or a line of its own where there are no bars."""

    def log(self, path: Path) -> AbstractContextManager[Callable[[str], None]]:
        """Meanwhile, keep all this in a file too, and what goes wrong with its traceback.

        Hands out a function that writes into the file alone.
        """


LONG_SECONDS = 20.0
"""What takes longer is told of before."""


def tell_long(progress: Progress, what: str, seconds: float) -> None:
    """Say how long something will take, where somebody would wonder."""
    if seconds > LONG_SECONDS:
        progress.say(f"{what}: about {duration(seconds)}")


TOLD_AFTER = (1, 20)
"""Items of many, after which is told how long all of them take: a first word, and a better one."""


def track_long(progress: Progress, items: Sequence[T], label: str) -> Generator[T]:
    """`track`, which also says how long all of them will take; nothing of nothing."""
    begun = time.monotonic()
    for done, item in enumerate(progress.track(items, len(items), label) if items else ()):
        if done in TOLD_AFTER:
            seconds = (time.monotonic() - begun) / done * len(items)
            tell_long(progress, f"{label}, {len(items):,} in all", seconds)
        yield item


def heeding(items: Iterable[T]) -> Iterator[T]:
    """The same, until a signal asks to stop."""
    for item in items:
        heed()
        yield item


class Silent:
    """A progress that nobody watches, for use from Python; logs are kept all the same.

    What is said while no log is open is kept for the next one (`Logbook`), not lost.
    """

    def __init__(self) -> None:
        self._logbook = Logbook()

    def say(self, text: str) -> None:
        self._logbook.write(text)

    def warn(self, text: str) -> None:
        self._logbook.write(f"warning: {text}")

    def track(self, items: Iterable[T], total: int, label: str) -> Generator[T]:
        self._logbook.write(f"{label}: {total:,} to do")
        yield from heeding(items)

    def note(self, text: str) -> None:
        self._logbook.write(text)

    def log(self, path: Path) -> AbstractContextManager[Callable[[str], None]]:
        return self._logbook.open(path)
