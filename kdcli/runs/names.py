"""What run folders are called."""

import re
from collections.abc import Sequence

from kdcli.core.text import cut

LONGEST = 255
"""Bytes at which most file systems end a name."""


def slug(text: str) -> str:
    """A name that is safe in a folder's name: letters, digits, `_` and `.`; others become `_`.

    A hyphen, too: those of a folder's name stand between its parts. No name begins with a dot, so
    that nothing is hidden, and `..` leads nowhere.
    """
    return re.sub(r"[^\w.]+", "_", text).strip("._") or "data"


def folder_name(parts: Sequence[str]) -> str:
    """The parts, hyphens between them; where that is longer than a name may be, the longest of them
    are cut by bytes. The last, a digest, stays whole: it alone tells runs apart."""
    *words, digest = parts
    size = LONGEST
    while len("-".join([*words, digest]).encode()) > LONGEST:
        size -= 1
        words = [cut(word, size) for word in words]
    return "-".join([*words, digest])
