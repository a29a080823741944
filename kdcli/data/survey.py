"""What the data are, before any work: counts, sizes, doubles, and what cannot be read."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from kdcli.data.broken import broken
from kdcli.data.readers import ArrayImages
from kdcli.data.source import Source, Split
from kdcli.data.spread import WAITING, spread
from kdcli.errors import DataError
from kdcli.progress import Progress, Silent

IMBALANCED = 5
"""Images of the largest class for one of the smallest, above which something should be done."""


@dataclass(frozen=True)
class Sizes:
    """Width x height of the images, in pixels."""

    smallest: tuple[int, int]
    """By area."""
    median: tuple[int, int]
    """Of widths and of heights."""
    largest: tuple[int, int]


@dataclass(frozen=True)
class Double:
    """The same content in two splits, or more."""

    ids: tuple[str, ...]
    """One of each split that has it."""
    splits: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Survey:
    """What a look at every image, without decoding any, has found."""

    name: str
    images: dict[str, int]
    """Per split."""
    per_class: dict[str, int]
    """Images in training, by class, in the order of the classes."""
    sizes: Sizes | None
    """None: not one image has a readable header."""
    ignored: int
    doubles: tuple[Double, ...]
    unreadable: tuple[DataError, ...]

    @property
    def largest(self) -> tuple[str, int]:
        """The class with the most training images, and how many."""
        return max(self.per_class.items(), key=lambda item: item[1])

    @property
    def smallest(self) -> tuple[str, int]:
        """The class with the fewest."""
        return min(self.per_class.items(), key=lambda item: item[1])

    @property
    def imbalance(self) -> float:
        """Images of the largest class for one of the smallest; infinite where that has none."""
        fewest = self.smallest[1]
        return self.largest[1] / fewest if fewest else float("inf")

    def lines(self) -> tuple[str, ...]:
        """What is said before any training."""
        counts = " / ".join(f"{count:,}" for count in self.images.values())
        low, high = self.smallest, self.largest
        balance = (
            f"{low[1]:,} each"
            if low[1] == high[1]
            else f"{low[1]:,} ({low[0]}) to {high[1]:,} ({high[0]}), {self.imbalance:.1f}:1"
        )
        return (
            f"{len(self.per_class):,} classes; {counts} images ({' / '.join(self.images)})",
            f"training images per class: {balance}",
            *([f"sizes: {described(self.sizes)}"] if self.sizes else []),
        )

    def warnings(self) -> tuple[str, ...]:
        """What should not be missed."""
        return (*self._of_unreadable(), *self._of_doubles())

    def refuse_unreadable(self) -> None:
        """Raise DataError, naming them, if there are images that cannot be read."""
        if self.unreadable:
            raise broken(
                self.unreadable,
                sum(self.images.values()),
                "repair these files, or take them out; kd doctor DATA also finds images that "
                "break off halfway",
            )

    def _of_unreadable(self) -> Iterable[str]:
        if self.unreadable:
            yield f"{_counted(len(self.unreadable), 'image')} cannot be read"

    def _of_doubles(self) -> Iterable[str]:
        if not self.doubles:
            return
        several = len(self.doubles) > 1
        examples = ", ".join(" = ".join(double.ids) for double in self.doubles[:3])
        yield (
            f"{_counted(len(self.doubles), 'image')} {'stand' if several else 'stands'} in two "
            f"splits, so what is measured there is partly remembered: {examples}"
            f"{', ...' if len(self.doubles) > 3 else ''}"
        )

    def advice(self) -> tuple[str, ...]:
        """What to set where a class is rare."""
        if self.imbalance <= IMBALANCED:
            return ()
        times = f"{self.imbalance:.1f} times" if self.smallest[1] else "all"
        return (
            f"class '{self.largest[0]}' has {times} the images of '{self.smallest[0]}': "
            "consider --set train.balance=sampler (or loss) and --set "
            "train.select=balanced_accuracy, and look at student.worst_class_recall",
        )


@dataclass(frozen=True, eq=False)
class _Look:
    """What one image told."""

    size: tuple[int, int] | None
    error: DataError | None = None


def survey(source: Source, progress: Progress | None = None) -> Survey:
    """Look at the header of every image; each file that may be a double is read whole."""
    progress = progress or Silent()
    splits = {"train": source.train, "validation": source.validation, "test": source.test}
    looks = {role: _looked_at(split, progress) for role, split in splits.items()}
    everyone = list(chain.from_iterable(looks.values()))
    counts = np.bincount(source.train.labels, minlength=len(source.classes))
    return Survey(
        name=source.name,
        images={role: len(split) for role, split in splits.items()},
        per_class={name: int(n) for name, n in zip(source.classes, counts, strict=True)},
        sizes=_sizes([look.size for look in everyone if look.size]),
        ignored=source.ignored,
        doubles=_doubles(splits, progress),
        unreadable=tuple(look.error for look in everyone if look.error),
    )


def undecodable(splits: Sequence[Split], progress: Progress) -> tuple[DataError, ...]:
    """One error for each image that cannot be decoded; every one is tried, but for those in memory.

    A header tells nothing of an image that breaks off halfway.
    """
    return tuple(chain.from_iterable(_undecodable(split, progress) for split in splits))


def refuse_undecodable(splits: Sequence[Split], progress: Progress) -> None:
    """Raise DataError, naming them, if there are such images."""
    if errors := undecodable(splits, progress):
        raise broken(errors, sum(map(len, splits)))


def described(sizes: Sizes) -> str:
    """`all 28 x 28`, or `20 x 30 to 640 x 480, median 320 x 240` (width x height)."""
    small, middle, large = (
        f"{w:,} x {h:,}" for w, h in (sizes.smallest, sizes.median, sizes.largest)
    )
    return (
        f"all {small} pixels" if small == large else f"{small} to {large} pixels, median {middle}"
    )


def _looked_at(split: Split, progress: Progress) -> list[_Look]:
    if isinstance(split.read, ArrayImages):
        return [_Look(split.read.size(0))] * len(split)

    def look(i: int) -> _Look:
        try:
            return _Look(split.read.size(i))
        except DataError as error:
            return _Look(None, error)

    return spread(len(split), look, progress, "looking at images", per_core=WAITING)


def _undecodable(split: Split, progress: Progress) -> Iterable[DataError]:
    if isinstance(split.read, ArrayImages):
        return ()

    def decode(i: int) -> DataError | None:
        try:
            split.read(i)
        except DataError as error:
            return error
        return None

    return filter(None, spread(len(split), decode, progress, "decoding images"))


def _sizes(found: list[tuple[int, int]]) -> Sizes | None:
    if not found:
        return None
    by_area = sorted(found, key=lambda size: (size[0] * size[1], size))
    width, height = (int(statistics.median(side)) for side in zip(*found, strict=True))
    return Sizes(by_area[0], (width, height), by_area[-1])


def _doubles(splits: dict[str, Split], progress: Progress) -> tuple[Double, ...]:
    """By fingerprint, confirmed by the whole content; in the order of the first split's ids."""
    places: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    for role, split in splits.items():
        for i in range(len(split)):
            places[split.read.fingerprint(i)].append((role, i))
    suspects = [
        place
        for known, found in places.items()
        if known != (-1, -1) and len({role for role, _ in found}) > 1
        for place in found
    ]

    def content(number: int) -> str | None:
        role, i = suspects[number]
        try:
            return splits[role].read.content(i)
        except DataError:  # gone since; reading it will say so
            return None

    sums = spread(len(suspects), content, progress, "comparing images", per_core=WAITING)
    same: dict[str, dict[str, str]] = defaultdict(dict)
    for (role, i), known_sum in zip(suspects, sums, strict=True):
        if known_sum is not None:
            same[known_sum].setdefault(role, splits[role].ids[i])
    found = [Double(tuple(ids.values()), tuple(ids)) for ids in same.values() if len(ids) > 1]
    return tuple(sorted(found, key=lambda double: double.ids))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
