"""What the data are, before any work: counts, sizes, doubles, and what cannot be read.

What is found here would else be found after hours, or never: a test that is partly remembered
looks like a good model.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import PIL

from kdcli import __version__
from kdcli.core.arrays import Indices, Ints
from kdcli.core.errors import DataError
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import counted
from kdcli.data.file_sums import UNREADABLE, cached_rows, content_keys
from kdcli.data.quality.duplicates import Double, doubles, in_two_classes, same_images, told
from kdcli.data.quality.near_doubles import near_doubles
from kdcli.data.quality.nothing_shown import Shown, look_at_some
from kdcli.data.quality.odd_names import odd_names
from kdcli.data.quality.rare_classes import IMBALANCED, WHAT_HELPS, few_measured
from kdcli.data.readers import HubImages, ImageFiles
from kdcli.data.source import Source, Split, broken
from kdcli.data.threads import spread

_TAKE_OUT = (
    "repair these files, or take them out; kd doctor DATA also finds images that break off halfway"
)


KEPT = 1 << 22
"""Images known to be decodable that are kept of a data set, at 16 bytes."""


@dataclass(frozen=True)
class Sizes:
    """Width x height of the images, in pixels."""

    smallest: tuple[int, int]
    """By area."""
    median: tuple[int, int]
    """Of widths and of heights."""
    largest: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Survey:
    """What a look at every image has found."""

    name: str
    images: dict[str, int]
    """Per split."""
    per_class: dict[str, int]
    """Images in training, by class, in the order of the classes."""
    sizes: Sizes | None
    """None: not one image has a readable header."""
    ignored: tuple[str, ...]
    """Files that are no images of a class."""
    doubles: tuple[Double, ...]
    """In two splits or more; those whose classes differ come first."""
    near_doubles: tuple[Double, ...]
    """In two splits, as other files that show the same picture: smaller, recompressed."""
    in_two_classes: tuple[Double, ...]
    """Of one split."""
    unreadable: tuple[DataError, ...]
    shown: Shown = field(default_factory=Shown)
    """By some of the training images."""
    measured: dict[str, dict[str, int]] = field(default_factory=dict)
    """Images in validation and test, by class."""

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
        return (
            *self._of_unreadable(),
            *self.shown.warnings(),
            *self._of_doubles(),
            *self._of_near_doubles(),
            *self._of_two_classes(),
            *odd_names(self.per_class),
            *self._of_few_measured(),
        )

    def refuse_unreadable(self) -> None:
        """Raise DataError, naming them, if there are images that cannot be read."""
        if self.unreadable:
            raise broken(self.unreadable, sum(self.images.values()), _TAKE_OUT)

    def _of_unreadable(self) -> Iterable[str]:
        if self.unreadable:
            yield f"{counted(len(self.unreadable), 'image')} cannot be read"

    def _of_doubles(self) -> Iterable[str]:
        if not self.doubles:
            return
        yield (
            f"{_stand(self.doubles)} in two splits{_wrong(self.doubles)}, so what is measured "
            f"there is partly remembered: {_examples(self.doubles)}"
        )

    def _of_near_doubles(self) -> Iterable[str]:
        if self.near_doubles:
            yield (
                f"{_stand(self.near_doubles)} in two splits as nearly the same picture (smaller, "
                f"recompressed, a moment later){_wrong(self.near_doubles)}, so what is measured "
                f"there is partly remembered: {_examples(self.near_doubles)}"
            )

    def _of_two_classes(self) -> Iterable[str]:
        if self.in_two_classes:
            yield (
                f"{_stand(self.in_two_classes)} in two classes of one split, so one of the labels "
                f"is wrong: {_examples(self.in_two_classes)}"
            )

    def _of_few_measured(self) -> Iterable[str]:
        """Where classes are uneven: of data that are small altogether, the intervals tell."""
        told = few_measured(self.per_class, self.measured)
        if told and self.imbalance > IMBALANCED:
            yield told

    def advice(self) -> tuple[str, ...]:
        """What to set where a class is rare; apart from `warnings`, as whoever has set
        train.balance needs none (`plan/data.py`)."""
        if self.imbalance <= IMBALANCED:
            return ()
        times = f"{self.imbalance:.1f} times" if self.smallest[1] else "all"
        larger = f"class '{self.largest[0]}' has {times} the images of '{self.smallest[0]}'"
        return (f"{larger}: {WHAT_HELPS}",)


def survey(source: Source, progress: Progress | None = None) -> Survey:
    """What opening the source has learnt of every image, put together; some of the training images
    are decoded.

    Nothing is raised for images that cannot be read: `Survey.refuse_unreadable` does, while
    `kd doctor` goes on to tell the rest.
    """
    progress = progress or Silent()
    splits = source.splits
    same = same_images(splits)
    counts = {role: _per_class(split, source.classes) for role, split in splits.items()}
    sizes = _sizes(np.concatenate([split.read.sizes for split in splits.values()]))
    return Survey(
        name=source.name,
        images={role: len(split) for role, split in splits.items()},
        per_class=counts.pop("train"),
        sizes=sizes,
        ignored=source.ignored,
        doubles=doubles(same, source),
        near_doubles=told(near_doubles(splits, progress), source),
        in_two_classes=in_two_classes(same, source),
        unreadable=tuple(chain(*(_unreadable(one, progress) for one in splits.values()))),
        shown=look_at_some(source.train, math.prod(sizes.median)) if sizes else Shown(),
        measured=counts,
    )


def _per_class(split: Split, classes: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(split.labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, counts, strict=True)}


def refuse_unreadable(split: Split, progress: Progress) -> None:
    """Raise DataError, naming them, if there are images whose header cannot be read."""
    if errors := _unreadable(split, progress):
        raise broken(errors, len(split))


def undecodable(splits: Sequence[Split], progress: Progress) -> tuple[DataError, ...]:
    """One error for each image that cannot be decoded; every one is tried, but for those in memory.

    A header tells nothing of an image that breaks off halfway. Of a copy that was interrupted one
    would hear when its split is first decoded: of test images, after all training.
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


def _unreadable(split: Split, progress: Progress) -> list[DataError]:
    """Of images without a readable header, which are looked at again."""
    read = split.read
    return _errors(np.flatnonzero(~read.sizes.all(1)), read.size, progress, "looking at images")


def _undecodable(split: Split, progress: Progress) -> list[DataError]:
    """What was decoded once is kept by its content; what could not be is tried each time."""
    read = split.read
    if not isinstance(read, ImageFiles | HubImages):
        return []
    by = f"{read.place} {read.decoding} kd {__version__} Pillow {PIL.__version__}"
    cache, keys = cached_rows("decoded", by, 0), content_keys(read.sums)
    new = np.flatnonzero(~cache.find(keys)[0])
    whole = np.zeros(len(keys), bool)

    def decode(i: int) -> None:
        read(i)
        whole[i] = True

    try:
        return _errors(new, decode, progress, "decoding images")
    finally:  # an interrupt, too
        whole &= (read.sums != UNREADABLE).any(1)
        cache.keep(keys[whole], np.zeros((whole.sum(), 0), np.uint8), KEPT)


def _errors(
    rows: Indices, look: Callable[[int], object], progress: Progress, label: str
) -> list[DataError]:
    def one(place: int) -> DataError | None:
        try:
            look(int(rows[place]))
        except DataError as error:
            return error
        return None

    found = spread(len(rows), one, progress, label)
    return [error for error in found if error]


def _sizes(found: Ints) -> Sizes | None:
    """Of (n, 2), in which zeros are not known."""
    known = found[found.all(1)].astype(np.int64)
    if not len(known):
        return None
    by_area = known[np.lexsort((known[:, 1], known[:, 0], known.prod(1)))]
    rows = by_area[0], np.median(known, axis=0).astype(int), by_area[-1]
    return Sizes(*((int(width), int(height)) for width, height in rows))


def _stand(doubles: tuple[Double, ...]) -> str:
    return f"{counted(len(doubles), 'image')} stand{'s' if len(doubles) == 1 else ''}"


def _wrong(doubles: tuple[Double, ...]) -> str:
    others = sum(double.disagrees for double in doubles)
    return f", {others:,} of them in another class" if others else ""


def _examples(doubles: tuple[Double, ...]) -> str:
    return ", ".join(map(str, doubles[:3])) + (", ..." if len(doubles) > 3 else "")
