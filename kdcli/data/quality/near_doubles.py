"""The same picture twice, saved anew: smaller, recompressed, in another format.

Each is reduced to 16 x 16 grey pixels; two pictures are as alike as these correlate, which is what
perceptual hashes estimate by a few bits. Those call too much a double: of Fashion-MNIST's 10,000
test images 900 share all 64 bits of dHash with one of train, 119 those of pHash; and the package of
them (imagehash) would bring PyWavelets. Correlations need nothing new, and tell all pairs of 70,000
images in 10 s. What correlates is compared once more, finer and in colour.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import combinations

import numpy as np
from PIL import Image

from kdcli.core.arrays import Bools, Floats, Indices, Pixels
from kdcli.core.errors import DataError
from kdcli.core.files import cache_folder
from kdcli.core.progress import Progress
from kdcli.data.file_sums import UNREADABLE, cached_rows, content_keys
from kdcli.data.quality.compared import Compared, recall, remember
from kdcli.data.quality.duplicates import Place
from kdcli.data.source import Split
from kdcli.data.threads import spread
from kdcli.data.thumbnails import SIDE

ALIKE = 0.997
"""Correlation of thumbnails, from which two pictures are looked at themselves."""
LIMIT = ALIKE - 0.001
"""The same at half their size: detail that is left out may have agreed better."""
SAME, SAME_SMALL, SMALL = 0.998, 0.9993, 40
"""Correlations of the pictures at 16 to 32 pixels in RGB; the second where the smaller of them has
at most 40 pixels, and little to be told by. Photographs saved at half the size, or as JPEG of
quality 50, have 0.9996 and more. Of Fashion-MNIST's 10,000 test images 8 have 0.9993 with one of
train, of the digits none has 0.995."""
FLAT = 2.0
"""Standard deviation in levels of 255, up to which a thumbnail shows nothing to compare."""
_KEY = ("near doubles", SIDE, ALIKE, SAME, SAME_SMALL)
"""Under what is found is kept: by other measures other pairs would be."""
ROWS, COLUMNS, MOST = 1024, 8192, 200_000
"""Of one block of correlations; and pairs of it that are looked at, above which each image of its
rows keeps its best alone."""

LONG = 1_000_000_000
"""Pairs that take long enough to be waited for: 3 s of a core."""


def near_doubles(splits: dict[str, Split], progress: Progress) -> list[tuple[Place, Place]]:
    """Pairs of images of two splits that show the same picture, and are not the same file.

    An image of a later split is in one pair at most with each earlier one. What was found is kept
    between runs by the images' content, and so are thumbnails, by their place: a million images
    would take minutes at each start.
    """
    keys = {role: content_keys(split.read.sums) for role, split in splits.items()}
    places = {
        role: split.read.place or _sum(keys[role].tobytes()) for role, split in splits.items()
    }
    thumbnails: dict[str, Pixels] = {}
    found = []
    for one, other in combinations(splits, 2):
        name = _sum(repr((*_KEY, one, other, places[one], places[other])).encode())
        file = cache_folder() / "compared" / f"{name}.rows"
        before = recall(file, keys[one], keys[other])
        pairs = before.pairs
        if not before.is_all:
            thumbnails = thumbnails or _thumbnails(splits, progress)
            alike = _new(before, thumbnails[one], thumbnails[other], progress)
            pairs = list(_pairs(splits[one], splits[other], alike, pairs))
            remember(file, keys[one], keys[other], pairs)
        found += [(_place(splits, one, i), _place(splits, other, j)) for i, j in pairs]
    return found


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _new(
    before: Compared, one: Pixels, other: Pixels, progress: Progress
) -> Iterator[tuple[int, int]]:
    """Rows whose thumbnails are alike, where at least one of them is new."""
    mine, theirs = np.flatnonzero(before.new_one), np.flatnonzero(before.new_other)
    old = np.flatnonzero(~before.new_other)
    for i, j in _alike(one, other[theirs], progress):
        yield i, int(theirs[j])
    for i, j in _alike(one[mine], other[old], progress):
        yield int(mine[i]), int(old[j])


def _pairs(
    one: Split,
    other: Split,
    alike: Iterable[tuple[int, int]],
    before: Sequence[tuple[int, int]],
) -> Iterator[tuple[int, int]]:
    yield from before
    seen = {j for _, j in before}
    for i, j in alike:
        if j not in seen and _same(one, i, other, j):
            seen.add(j)
            yield i, j


def _place(splits: dict[str, Split], split: str, row: int) -> Place:
    return Place(split, row, int(splits[split].labels[row]))


def _thumbnails(splits: dict[str, Split], progress: Progress) -> dict[str, Pixels]:
    """(n, 256) of each split; zeros for what cannot be read."""
    found: dict[str, Pixels] = {}
    for place in {split.read.place for split in splits.values()}:
        roles = [role for role, split in splits.items() if split.read.place == place]
        together = [splits[role] for role in roles]  # as they are kept
        ends = np.cumsum([len(split) for split in together])
        found |= zip(roles, np.split(_of_place(place, together, progress), ends[:-1]), strict=True)
    return found


def _of_place(place: str, splits: list[Split], progress: Progress) -> Pixels:
    sums = np.concatenate([split.read.sums for split in splits])
    keys, cache = content_keys(sums), cached_rows("thumbnails", place, SIDE * SIDE)
    known, thumbnails = cache.find(keys)
    known |= (sums == UNREADABLE).all(1)
    before, begin = known.copy(), 0
    for split in splits:
        part = slice(begin, begin := begin + len(split))
        _make(split, known[part], thumbnails[part], progress)
    if place:
        made = known & ~before
        cache.keep(keys[made], thumbnails[made], len(keys))
    return thumbnails


def _make(split: Split, known: Bools, thumbnails: Pixels, progress: Progress) -> None:
    """Those that are not known; both arrays are filled in."""
    new = np.flatnonzero(~known).tolist()

    def look(place: int) -> None:
        i = new[place]
        with suppress(DataError):  # reading the image will say why
            thumbnails[i], known[i] = split.read.thumbnail(i).reshape(-1), True

    spread(len(new), look, progress, "comparing images")


def _alike(one: Pixels, other: Pixels, progress: Progress) -> Iterator[tuple[int, int]]:
    """Rows (i, j) whose thumbnails correlate; first found at half their size, a quarter of work."""
    halves = [_halves(each) for each in (one, other)]
    tops: Iterable[int] = range(0, len(other), ROWS)
    if len(one) * len(other) > LONG:
        tops = progress.track(tops, len(range(0, len(other), ROWS)), "comparing splits")
    for top in tops:
        for left in range(0, len(one), COLUMNS):
            block = halves[1][top : top + ROWS] @ halves[0][left : left + COLUMNS].T
            rows = np.flatnonzero(block.max(1) >= LIMIT)  # few: the rest is looked at once
            hits: Bools = block[rows] >= LIMIT
            if hits.sum() > MOST:
                hits &= np.arange(block.shape[1]) == block[rows].argmax(1)[:, None]
            j, i = np.nonzero(hits)
            j = rows[j]
            yield from _confirmed(one, i + left, other, j + top)


def _confirmed(one: Pixels, i: Indices, other: Pixels, j: Indices) -> Iterator[tuple[int, int]]:
    for start in range(0, len(i), ROWS):
        rows, columns = i[start : start + ROWS], j[start : start + ROWS]
        near = (_unit(one[rows]) * _unit(other[columns])).sum(1) >= ALIKE
        yield from zip(rows[near].tolist(), columns[near].tolist(), strict=True)


def _halves(thumbnails: Pixels) -> Floats:
    """Of length 1 (`_unit`), at half the size; a few at a time, as floats are large."""
    half = SIDE // 2
    found = np.zeros((len(thumbnails), half * half), np.float32)
    for top in range(0, len(found), COLUMNS):
        blocks = thumbnails[top : top + COLUMNS].reshape(-1, half, 2, half, 2)
        means: Floats = blocks.mean((2, 4), dtype=np.float32)
        found[top : top + COLUMNS] = _unit(means.reshape(-1, half * half))
    return found


def _unit(rows: Pixels | Floats) -> Floats:
    """Without their mean, of length 1: products of two are correlations. Flat ones become 0."""
    centred = rows.astype(np.float32)
    centred -= centred.mean(1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = lengths <= FLAT * rows.shape[1] ** 0.5
    return np.where(flat, 0, centred / np.where(flat, 1, lengths)).astype(np.float32)


def _same(one: Split, i: int, other: Split, j: int) -> bool:
    if one.read.fingerprint(i) == other.read.fingerprint(j):  # told of as the same file
        return False
    try:
        pictures = one.read(i), other.read(j)
    except DataError:
        return False
    shorter = min(min(each.shape[:2]) for each in pictures)
    # no finer than the smaller one is: what the larger one shows beyond has been lost
    side = min(2 * SIDE, max(SIDE, shorter // 4))
    first, second = (_unit(_reduced(each, side)) for each in pictures)
    return float((first * second).sum()) >= (SAME_SMALL if shorter <= SMALL else SAME)


def _reduced(picture: Pixels, side: int) -> Floats:
    """(1, 3 side²), not rounded."""
    size, bilinear = (side, side), Image.Resampling.BILINEAR
    channels = (Image.fromarray(picture[..., i].astype(np.float32)) for i in range(3))
    return np.stack([np.asarray(each.resize(size, bilinear)) for each in channels]).reshape(1, -1)
