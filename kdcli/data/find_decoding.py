"""Which rule a data set's images are decoded by: found in a sample of its training images.

Of most data sets nothing but headers are looked at. The same images give the same rule, so that it
is no setting of its own, and a run's identity holds it where it is not the usual one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from kdcli.core.arrays import Indices
from kdcli.core.progress import Silent
from kdcli.data.decoding import FLOATS, GREYS, INTEGERS, SLACK, Decoding
from kdcli.data.images import Header, brightest, header_of, spans
from kdcli.data.readers import ArrayImages, HubImages, ImageFiles
from kdcli.data.source import Split
from kdcli.data.threads import WAITING, spread

T = TypeVar("T")

SAMPLE = 256
"""Images whose headers are looked at, spread evenly over the training images."""
PIXELS = 1 << 26
"""Pixels of them that are decoded: about a second; of 12 megapixels each the fewest images."""
FEWEST = 32
FAINT = 16
"""An image whose pixels differ by no more, of 255, shows nothing."""
_BEHIND = (*GREYS, None)


@dataclass(frozen=True)
class Found:
    """The rule, and how it came about."""

    decoding: Decoding
    notes: tuple[str, ...] = ()


def decoded(split: Split, how: Decoding) -> Split:
    """The split, read by this rule; images in memory are decoded already."""
    if isinstance(split.read, ArrayImages):
        return split
    assert isinstance(split.read, ImageFiles | HubImages)
    return replace(split, read=replace(split.read, decoding=how))


def find_decoding(train: Split) -> Found:
    """The rule for these images and all that are read together with them.

    Backgrounds: that on which the fewest transparent images show nothing, white first. Depth: the
    smallest level that no pixel of the sample exceeds. Images that cannot be read are passed over:
    the survey names them.
    """
    sample = train.sample(SAMPLE)
    if isinstance(sample.read, ArrayImages):
        return Found(Decoding())
    headers = _each(sample, np.arange(len(sample)), header_of, WAITING)
    usual, total = Decoding(), len(sample)
    behind, of_clear = _background(sample, headers, total)
    integers, of_integers = _white(sample, headers, "integer", total)
    floats, of_floats = _white(sample, headers, "float", total)
    found = Decoding(
        behind,
        int(integers or usual.integer_white),
        floats or usual.float_white,
    )
    return Found(found, (*of_clear, *of_integers, *of_floats))


def _each(sample: Split, rows: Indices, work: Callable[..., T], per_core: int = 1) -> dict[int, T]:
    """What `work` makes of the files at these places, by place; damaged ones are left out."""
    read = sample.read
    assert isinstance(read, ImageFiles | HubImages)

    def one(i: int) -> T | None:
        try:
            return work(read.file(int(rows[i])))
        except Exception:  # of any kind, as damaged bytes make decoders raise
            return None

    found = spread(len(rows), one, Silent(), "", per_core)
    return {int(row): each for row, each in zip(rows, found, strict=True) if each is not None}


def affordable(rows: Indices, pixels: int) -> Indices:
    """As many of the places, spread evenly, as have together about `PIXELS`, of `pixels` each."""
    count = min(len(rows), max(FEWEST, PIXELS // max(1, pixels)))
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


def _some(headers: dict[int, Header], wanted: Callable[[Header], bool]) -> Indices:
    """The places of such images that can be afforded."""
    of_kind = {row: header for row, header in headers.items() if wanted(header)}
    if not of_kind:
        return np.zeros(0, np.int64)
    areas = [header.size[0] * header.size[1] for header in of_kind.values()]
    return affordable(np.array(list(of_kind)), int(np.mean(areas)))


def _background(
    sample: Split, headers: dict[int, Header], total: int
) -> tuple[int | None, tuple[str, ...]]:
    rows = _some(headers, lambda header: header.transparent)
    clear = _each(sample, rows, lambda file: spans(file, _BEHIND) or ())
    shown = [each for each in clear.values() if each]
    if not shown:
        return Decoding().background, ()
    lost = dict(zip(_BEHIND, (np.array(shown) <= FAINT).sum(axis=0).tolist(), strict=True))
    best: int | None = min(GREYS, key=lambda grey: lost[grey])
    # an alpha channel that nobody meant: empty, as some programs write it
    if lost[best] > len(shown) / 2 and lost[None] < lost[best]:
        best = None
    words = f"{len(shown):,} of {total:,} training images looked at are transparent: "
    words += "shown without transparency" if best is None else f"put on {GREYS[best]}"
    if best != 255:
        words += f", as {lost[255]:,} of them would show nothing on white"
    return best, (words,)


def _white(
    sample: Split, headers: dict[int, Header], depth: str, total: int
) -> tuple[float | None, tuple[str, ...]]:
    """None: there are no such images, or no level is high enough, so that reading refuses them."""
    rows = _some(headers, lambda header: header.depth == depth)
    highest = max(_each(sample, rows, brightest).values(), default=0)
    levels, slack = (INTEGERS, 0.0) if depth == "integer" else (FLOATS, SLACK)
    white = next((level for level in levels if highest <= level * (1 + slack)), None)
    if not len(rows) or not highest or white is None:
        return None, ()
    deep = sum(header.depth == depth for header in headers.values())
    kind = "whole numbers of more than 8 bits" if depth == "integer" else "floating-point numbers"
    return white, (
        f"{deep:,} of {total:,} training images looked at are of {kind}, up to {highest:,g}: "
        f"{white:,g} is taken for white",
    )
