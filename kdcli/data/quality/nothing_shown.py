"""Do the training images show anything: a look at some of them, decoded.

Shapes in an alpha channel alone, 12 bits read as 16, an export of empty canvases: all of them
train, to chance.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kdcli.core.errors import DataError
from kdcli.core.progress import Silent
from kdcli.core.text import some
from kdcli.data.find_decoding import FAINT, affordable
from kdcli.data.images import span
from kdcli.data.source import Split
from kdcli.data.threads import spread

LOOKED = 128
"""Images that are decoded: of small photographs, half a second's worth."""
SHARE = 0.05
"""Of the images looked at, above which blank or contradictory ones are warned of."""
NAMED = 3


@dataclass(frozen=True)
class Shown:
    """What a sample of the training images shows."""

    looked: int = 0
    blank: tuple[str, ...] = ()
    """Ids of those that show nothing: one colour, or nearly so."""
    distinct: int = 0
    """Different pictures among the others."""
    across: tuple[str, ...] = ()
    """Ids of those others that are pixel for pixel an image of another class."""

    def warnings(self) -> Iterable[str]:
        """What should not be missed; nothing of usual data."""
        of = f"of {self.looked:,} training images looked at"
        others = self.looked - len(self.blank)
        if len(self.blank) > SHARE * self.looked:
            yield (
                f"{len(self.blank):,} {of} show nothing: no pixel differs from another by more "
                f"than {FAINT} of 255 ({some(self.blank, NAMED)})"
            )
        if others > 2 * self.distinct:
            yield f"{others:,} {of} are only {self.distinct:,} different pictures"
        if len(self.across) > SHARE * self.looked:
            yield (
                f"{len(self.across):,} {of} are pixel for pixel those of another class, so no "
                f"model can tell them apart ({some(self.across, NAMED)})"
            )


def look_at_some(train: Split, pixels: int) -> Shown:
    """Of images spread evenly over the split, which have `pixels` each, about: at most `LOOKED`,
    fewer of large ones. What cannot be read is passed over."""
    rows = affordable(np.arange(len(train)), pixels)
    sample = train.take(rows).sample(LOOKED)
    found = spread(len(sample), lambda i: _pixels(sample, i), Silent(), "")
    seen = {i: one for i, one in enumerate(found) if one is not None}
    blank = tuple(sample.ids[i] for i, (width, _) in seen.items() if width <= FAINT)
    pictures = {i: content for i, (width, content) in seen.items() if width > FAINT}
    classes: dict[int, set[int]] = defaultdict(set)
    for i, content in pictures.items():
        classes[content].add(int(sample.labels[i]))
    across = tuple(sample.ids[i] for i, content in pictures.items() if len(classes[content]) > 1)
    return Shown(len(seen), blank, len(classes), across)


def _pixels(sample: Split, i: int) -> tuple[int, int] | None:
    """How far its pixels differ, and a sum over all of them."""
    try:
        image = sample.read(i)
    except DataError:
        return None
    return span(image), zlib.crc32(image.tobytes(), zlib.crc32(repr(image.shape).encode()))
