"""Text as Markdown shows it: what a stranger wrote, and tables.

Whatever is not said to be Markdown (`Marked`) is text, and every sign in it that would mean
something is escaped, for CommonMark with GitHub's tables; where a sign means nothing it stays bare,
as people read these files without a renderer, too.
"""

import re
from collections.abc import Iterable, Sequence

from kdcli.core.text import shown


class Marked(str):
    """Markdown, as it is meant."""


_SIGNS = re.compile(
    r"[\\`*\[\]<>$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word it is a letter
    r"|~(?=\S)|(?<=\S)~"  # between blanks it says `about`
    r"|&(?=#|\w+;)"
)
_AT_THE_START = re.compile(
    r"#{1,6}(?=\s|$)|\+(?=\s|$)|-(?=[\s-]|$)|=(?==*\s*$)|\d{1,9}(?=[.)](?:\s|$))"
)
"""Of a line: headings, rules, lists."""


def plain(text: str) -> Marked:
    """Text with names in it, on one line: all signs as themselves. `|` is a table's to escape."""
    found = _SIGNS.sub(r"\\\g<0>", shown(text.strip()))
    if (start := _AT_THE_START.match(found)) and start[0].isdigit():
        return Marked(f"{start[0]}\\{found[start.end() :]}")
    return Marked(f"\\{found}" if start else found)


def code(name: str, longest: int | None = None) -> Marked:
    """A name that somebody else chose, as code: nothing in it is Markdown, HTML or a mention; of
    more than `longest` characters its beginning."""
    text = shown(name)
    text = text if longest is None or len(text) <= longest else f"{text[: longest - 3]}..."
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, gap = "`" * (ticks + 1), " " * (ticks > 0 or not text.strip())
    return Marked(f"{fence}{gap}{text}{gap}{fence}")


def listed(lines: Iterable[str]) -> list[str]:
    """A list item a line."""
    return [Marked(f"- {_as_markdown(line)}") for line in lines]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of Markdown; all columns but the first hold figures."""
    cells = [[_cell(cell) for cell in row] for row in [heads, *rows]]
    first, *others = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in cells]
    return [Marked(line) for line in (first, f"|---|{'---:|' * (len(heads) - 1)}", *others)]


def _as_markdown(text: str) -> str:
    return text if isinstance(text, Marked) else plain(text)


def _cell(text: str) -> str:
    """Its bars escaped: each behind an even number of backslashes, which would end the cell, gets
    one more; in code, where no other sign can be escaped, an odd number is made even first."""
    return re.sub(
        r"(\\*)\|",
        lambda found: found[1] + "\\" * (len(found[1]) % 2) + r"\|",
        _as_markdown(text).strip(),
    )
