"""Names of classes that are hardly meant: one name spelt in two ways, cells that hold nothing."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from kdcli.core.text import some

MISSING = frozenset(("nan", "null", "n/a", "#n/a", "<na>", "undefined"))
"""What programs write in a table's cell where there is nothing."""


def odd_names(names: Iterable[str]) -> Iterator[str]:
    """A warning for each."""
    spelt: dict[str, list[str]] = defaultdict(list)
    for name in names:
        spelt[_letters(name)].append(name)
        if name.casefold() in MISSING:
            yield f"class '{name}' looks like labels that are missing"
    for alike in spelt.values():
        if len(alike) > 1:
            yield (
                f"classes {some(map(repr, alike))} differ in their spelling alone: if they are "
                "one, give it one name"
            )


def _letters(name: str) -> str:
    """What is left of a name without case and punctuation; of a number, its value."""
    try:
        return str(float(name))
    except ValueError:
        return re.sub(r"[\W_]", "", name.casefold()) or name
