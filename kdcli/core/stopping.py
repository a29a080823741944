"""A signal that asks to stop waits for what must not be left halfway."""

from collections.abc import Iterator
from contextlib import contextmanager

_within = 0
_asked: type[BaseException] | None = None


def stop(kind: type[BaseException]) -> None:
    """Raise it: now, or when the outermost `uninterrupted` ends."""
    global _asked
    _asked = kind
    heed()


def heed() -> None:
    """Wherever long work goes on: what was raised once may have been caught by a library, or have
    come where Python only prints it."""
    if _asked and not _within:
        raise _asked


def asked() -> bool:
    """Whether somebody has asked to stop."""
    return _asked is not None


def forget() -> None:
    """Another command begins."""
    global _asked
    _asked = None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What is done inside is done to its end; for milliseconds, or seconds at most."""
    global _within
    _within += 1
    try:
        yield
    finally:
        _within -= 1
        heed()
