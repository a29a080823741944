"""How a verb tells what it is doing, without knowing where the words go."""

from collections.abc import Generator, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Words and bars for the person who waits; never results."""

    def say(self, text: str) -> None:
        """One line of what is being done or was decided."""

    def warn(self, text: str) -> None:
        """One line that the person should not miss."""

    def track(self, items: Iterable[T], total: int, label: str) -> Generator[T]:
        """Hand the items on, showing how many of `total` are done."""

    def note(self, text: str) -> None:
        """How it goes: beside the bar, or a line of its own where there are no bars."""


class Silent:
    """A progress that nobody watches, for use from Python."""

    def say(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def track(self, items: Iterable[T], total: int, label: str) -> Generator[T]:
        yield from items

    def note(self, text: str) -> None:
        pass
