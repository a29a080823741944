"""How long something takes, how large it is and how far apart, as people say it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdcli.commands.model_part import Range


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
