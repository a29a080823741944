"""A signal that asks to stop waits for what must not be left halfway."""

from collections.abc import Iterator
from contextlib import contextmanager

_within = 0
_asked = False
_waiting: list[type[BaseException]] = []


def stop(kind: type[BaseException]) -> None:
    """Raise it: now, or when the outermost `uninterrupted` ends."""
    global _asked
    _asked = True
    if not _within:
        raise kind
    _waiting.append(kind)


def asked() -> bool:
    """Whether somebody has asked to stop."""
    return _asked


def forget() -> None:
    """Another command begins."""
    global _asked
    _asked = False
    _waiting.clear()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What is done inside is done to its end; for milliseconds, or seconds at most."""
    global _within
    _within += 1
    try:
        yield
    finally:
        _within -= 1
        if _waiting and not _within:
            raise _waiting.pop()
