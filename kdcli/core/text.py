"""How long something takes, how large it is, how far apart and how many, as people say it."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def duration(seconds: float) -> str:
    """`8 s`, `2 min 30 s`, `35 min`, `2 h 50 min`, `3 days 4 h`; as exact as a forecast may be.

    A forecast is within a quarter of the truth (README.md): single seconds end at 90, tens of them
    at 10 minutes, and above 90 minutes only fives are told.
    """
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
    """`412 kB`, `7.1 GB`: thousands, as disks are sold; `size` in bytes."""
    number, letter = scaled(size)
    return f"{number:{'.3g' if letter else '.0f'}} {letter}B"


def short(number: float) -> str:
    """`5.48M`, `217M`, `1.05G`: three digits that count."""
    found, letter = scaled(number, nearly=0.9995)  # 999,600 is 1.00M
    return f"{found:#.3g}".rstrip(".") + letter if letter else f"{number:.0f}"


def scaled(number: float, nearly: float = 1.0) -> tuple[float, str]:
    """In billions, millions or thousands, and the letter of these: (5.48, "M"); below a thousand as
    it is, and no letter. What is `nearly` a million, as a share of it, counts in millions."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * nearly:
            return number / size, letter
    return number, ""


def signed(number: float, how: str = ".1f") -> str:
    """`+0.3`, `-1.0`; what rounds to nothing is `+0.0`, never `-0.0`."""
    return f"{number:+z{how}}"


def points(difference: float) -> str:
    """A difference of accuracies: `+1.9 points`."""
    return f"{signed(100 * difference)} points"


def span(low: float, high: float) -> str:
    """An interval of accuracies in points: `+0.3 to +3.6`."""
    return f"{signed(100 * low)} to {signed(100 * high)}"


def total(amounts: list[Number | None]) -> Number | None:
    """The sum; None where one is not known: a sum of the others would pass for all."""
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


def some(words: Iterable[str], most: int = 10) -> str:
    """The first words of a list, and how many more there are."""
    known = list(words)
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def class_name(text: str) -> str:
    """The same name for what reads the same: macOS writes an umlaut as two characters (NFD), so
    that a folder copied from there, or a table made there, would bring a second class "Äpfel". No
    list of names can hold a blank at its end."""
    return unicodedata.normalize("NFC", text.strip() or text)


def cut(text: str, size: int) -> str:
    """Its beginning, of at most so many bytes in UTF-8, no letter in halves."""
    return text.encode("utf-8", "surrogateescape")[:size].decode("utf-8", "ignore")


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `2,000 epochs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def first_line(error: BaseException, otherwise: str = "") -> str:
    """Of what an error says; where it says nothing, `otherwise`, or else what kind it is."""
    return next(iter(str(error).strip().splitlines()), otherwise or type(error).__name__)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'temperature'?"`, or nothing where no known word is near."""
    words = list(known)
    # What begins so comes first, the shortest of it: to difflib, whose own cutoff is 0.6, `temp` is
    # not near `temperature`. One letter or two begin too much to mean anything.
    near = sorted((w for w in words if len(word) > 2 and w.startswith(word)), key=len)
    near = near or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


_TURNING = (*range(0x2028, 0x202F), *range(0x2066, 0x206A))
"""Signs that break lines, or turn around what stands behind them: `gpj.exe` then reads `exe.jpg`.
Those that only mark a direction (U+200E, U+200F) Hebrew and Arabic need."""
_UNPRINTABLE = re.compile(rf"[\x00-\x1f\x7f-\x9f{''.join(map(chr, _TURNING))}\ud800-\udfff]")
"""These, control characters, and the surrogates that stand for bytes which are no UTF-8."""


def shown(name: object) -> str:
    """A name of a file or class as it can be printed and written as UTF-8, on one line.

    Whoever named the file may be a stranger: an escape sequence in it would be obeyed by the
    terminal, a newline would begin a row of its own in labels.txt or in a message.
    """
    return _UNPRINTABLE.sub(lambda sign: ascii(sign[0])[1:-1], str(name))


# C0, DEL and C1, of which some terminals obey 0x9b as they do ESC [; whole messages keep their
# tabs and lines, names (`shown`) do not
UNSEEN = [i for i in (*range(32), *range(127, 160), *_TURNING) if chr(i) not in "\t\n"]
_SPELLED = {i: f"\\x{i:02x}" if i < 256 else f"\\u{i:04x}" for i in UNSEEN}


def visible(text: str) -> str:
    """What a file's name may hold and no terminal should get, spelled out: control characters as
    `\\x1b`, and as `\\udce9` the surrogates that stand for bytes which are no UTF-8."""
    return text.translate(_SPELLED).encode("utf-8", "backslashreplace").decode("utf-8")


def message(text: str) -> str:
    """The same of a message: a newline in somebody's file name forges none of its own."""
    return visible(text).replace("\n", "\n  ")


def in_csv(value: Number | str) -> Number | str:
    """A cell: text that a spreadsheet would take for a formula gets a `'` in front of it, which no
    spreadsheet shows."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
