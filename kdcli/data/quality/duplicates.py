"""Images that stand in several splits, or in several classes: found by content."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kdcli.data.file_sums import UNREADABLE
from kdcli.data.source import Source, Split


@dataclass(frozen=True)
class Double:
    """The same content in several splits, or in several classes of one split."""

    ids: tuple[str, ...]
    """One of each split, or of each class, that has it."""
    splits: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def disagrees(self) -> bool:
        """Its copies stand in different classes."""
        return len(set(self.classes)) > 1

    def __str__(self) -> str:
        """The ids; with their classes where these differ."""
        named = [f"{i} ({c})" for i, c in zip(self.ids, self.classes, strict=True)]
        return " = ".join(named if self.disagrees else self.ids)


@dataclass(frozen=True)
class Place:
    """Where an image stands: its split, its row there, its label."""

    split: str
    row: int
    label: int


def same_images(splits: dict[str, Split]) -> list[list[Place]]:
    """Places in other splits or classes that hold the same, by content.

    Copies within one class of one split are left alone: they make it count twice, and flatter
    nobody. Files are compared as files: the same picture saved anew is another one here
    (`near_doubles` finds it).
    """
    sums = np.concatenate([split.read.sums for split in splits.values()])
    order = np.lexsort(sums.T)
    again = (sums[order[1:]] == sums[order[:-1]]).all(1) & (sums[order[1:]] != UNREADABLE).any(1)
    as_before, as_behind = np.r_[False, again], np.r_[again, False]
    # only what is there twice becomes objects: of a million images, hardly any
    twice = as_before | as_behind
    groups = np.split(order[twice], np.flatnonzero(~as_before[twice])[1:])
    found = [[_place(splits, row) for row in group.tolist()] for group in groups]
    return [each for each in found if len({(place.split, place.label) for place in each}) > 1]


def seen_among(images: Split, others: Iterable[Split]) -> int:
    """How many of the images stand among the others, too, byte for byte."""
    sums, known = images.read.sums, set[bytes]()
    for split in others:
        theirs = split.read.sums
        maybe = np.isin(theirs[:, 0], sums[:, 0])  # of a million images, hardly any
        known |= {row.tobytes() for row in theirs[maybe]}
    known -= {np.array(UNREADABLE, sums.dtype).tobytes()}
    return sum(row.tobytes() in known for row in sums) if known else 0


def _place(splits: dict[str, Split], row: int) -> Place:
    """Of a row of all splits together."""
    for role, split in splits.items():
        if row < len(split):
            return Place(role, row, int(split.labels[row]))
        row -= len(split)
    raise IndexError(row)


def doubles(same: list[list[Place]], source: Source) -> tuple[Double, ...]:
    """Those that stand in several splits."""
    return told((_firsts(places, lambda place: place.split) for places in same), source)


def in_two_classes(same: list[list[Place]], source: Source) -> tuple[Double, ...]:
    """Those that stand in several classes of one split."""
    apart = ([p for p in places if p.split == role] for places in same for role in source.splits)
    return told((_firsts(places, lambda place: place.label) for places in apart), source)


def _firsts(places: list[Place], key: Callable[[Place], object]) -> list[Place]:
    """One place of each split, or of each class."""
    found: dict[object, Place] = {}
    for place in places:
        found.setdefault(key(place), place)
    return list(found.values())


def told(groups: Iterable[Sequence[Place]], source: Source) -> tuple[Double, ...]:
    """Those of two places or more, in the order of their first ids."""
    splits = source.splits
    found = [
        Double(
            tuple(splits[place.split].ids[place.row] for place in group),
            tuple(place.split for place in group),
            tuple(source.classes[place.label] for place in group),
        )
        for group in groups
        if len(group) > 1
    ]
    # those first in which a label must be wrong: a message names three
    return tuple(sorted(found, key=lambda double: (not double.disagrees, double.ids)))
