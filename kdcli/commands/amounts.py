"""How long something takes, how large it is, how far apart and how many, as people say it."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from kdcli.data.complete import some

if TYPE_CHECKING:
    from kdcli.commands.model_part import Range

Number = TypeVar("Number", int, float)


def duration(seconds: float) -> str:
    """`8 s`, `2 min 30 s`, `35 min`, `2 h 50 min`, `3 days 4 h`; as exact as a forecast may be."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if seconds < 600:
        tens = round(seconds / 10)
        return f"{tens // 6} min" + (f" {tens % 6 * 10} s" if tens % 6 else "")
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(5 * round(minutes / 5), 60)
    if hours < 48:
        return f"{hours} h" + (f" {rest} min" if rest else "")
    return f"{hours // 24} days {hours % 24} h"


def size_in_words(size: float) -> str:
    """`412 kB`, `7.1 GB`: thousands, as disks are sold."""
    for unit, word in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {word}"
    return f"{size:.0f} B"


def points(difference: float) -> str:
    """A difference of accuracies: `+1.9 points`."""
    return f"{100 * difference:+.1f} points"


def span(interval: "Range") -> str:
    """`+0.3 to +3.6`, in points."""
    return f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def total(amounts: list[Number | None]) -> Number | None:
    """The sum; None where one is not known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def ensemble_name(names: Iterable[str]) -> str:
    """`ensemble of 4: resnet18 x 3, resnet34`."""
    members = list(names)
    return f"ensemble of {len(members):,}: {counted_names(members)}"


def counted_names(names: Iterable[str]) -> str:
    """`resnet18 x 3, resnet34`, in the order of their first."""
    counts = Counter(names)
    return some((f"{name} x {n:,}" if n > 1 else name for name, n in counts.items()), 3)
