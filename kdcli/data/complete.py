"""A source from the splits that were found: what is missing is divided off, and said."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kdcli.data.source import Defaults, Source, Split
from kdcli.data.splits import SEED, SHARES, divide
from kdcli.files import shown


def complete(
    given: Mapping[str, Split],
    *,
    name: str,
    where: str,
    classes: Iterable[str],
    identity: dict[str, Any],
    defaults: Defaults,
    notes: tuple[str, ...] = (),
    ignored: tuple[str, ...] = (),
) -> Source:
    """`given` has train, and may have validation and test; the others come out of train.

    `identity` says what was given. Raises DataError, naming `where`, if train is too small.
    """
    splits, carved = divide(given, where)
    taken = [
        f"{role} set: {len(ids):,} images taken out of the training images"
        for role, ids in carved.items()
    ]
    return Source(
        name=shown(name),
        classes=tuple(map(shown, classes)),
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        identity=identity | {"split_seed": SEED, "shares": SHARES},
        defaults=defaults,
        notes=(*notes, *taken),
        ignored=ignored,
        carved=carved,
    )


def absent_classes(given: Mapping[str, Split], classes: Iterable[str]) -> tuple[str, ...]:
    """A line for each split that lacks classes."""
    names, lines = tuple(classes), []
    for role, split in given.items():
        there = np.bincount(split.labels, minlength=len(names))
        absent = [shown(name) for name, count in zip(names, there, strict=True) if not count]
        lines += [f"{role} has no images of {some(absent)}"] if absent else []
    return tuple(lines)


def some(words: Iterable[str], most: int = 10) -> str:
    """The first words of a list, and how many more there are."""
    known = list(words)
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
