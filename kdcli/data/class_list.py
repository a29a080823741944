"""Which classes there are, and in which order: one rule for every source of images."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kdcli.core.text import class_name, shown


@dataclass(frozen=True)
class ClassList:
    """The classes of a data set, in the order of a classifier's answers."""

    names: tuple[str, ...]
    """Normalised, each once."""
    index: Mapping[str, int]
    """Each spelling that occurs, as stored, to its place."""


def class_list(spellings: Iterable[str]) -> ClassList:
    """Classes in the order of these spellings. Two that read the same (an umlaut as one character
    or as two) are one class, in the place of the first."""
    places: dict[str, int] = {}
    index = {spelled: places.setdefault(class_name(spelled), len(places)) for spelled in spellings}
    return ClassList(tuple(places), index)


def written_twice(spellings: Iterable[str]) -> tuple[str, ...]:
    """A note for each class whose name stands there in several spellings that read the same."""
    times = Counter(class_name(spelled) for spelled in set(spellings))
    return tuple(
        f"class '{shown(name)}' is written in {n} ways that read the same: taken as one"
        for name, n in times.items()
        if n > 1
    )


def in_order(labels: Iterable[str]) -> list[str]:
    """Different labels in the order of numbers if all are whole ones, else of code points as
    stored, as torchvision's ImageFolder sorts folders: sorted by what they are normalised to, a
    Mac's folders would have other places here than there.

    By code points 10 would come before 2. `1` and `01` are one number and two labels: then these
    decide, never the order of a set, which differs from process to process.
    """
    known = set(labels)
    return (
        sorted(known, key=lambda label: (int(label), label)) if are_whole(known) else sorted(known)
    )


def order_digest(names: Iterable[str]) -> str:
    """Of the names in their order: for the identity of data of which the images do not tell it."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()


def one_number(labels: Iterable[str]) -> tuple[str, ...]:
    """A note where labels that are classes of their own are one number: `1` and `01`."""
    alike: defaultdict[int, list[str]] = defaultdict(list)
    names = list(labels)
    for label in names if are_whole(names) else ():
        alike[int(label)].append(label)
    twice = " · ".join(" and ".join(same) for same in alike.values() if len(same) > 1)
    return (f"classes of their own, though one number each: {twice}",) if twice else ()


def are_whole(labels: Iterable[str]) -> bool:
    """Whether every label is a whole number, in ASCII digits."""
    return all(label.isascii() and label.removeprefix("-").isdigit() for label in labels)
