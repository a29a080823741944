"""What a look at whole files tells, kept between runs: a file that was not touched costs a look at
its dates.

The first look learns all that is asked before a training: the sum over the content, the size in
pixels, and the thumbnail, so that no file is read twice for them.

SHA-256, half of it: with the instructions that processors have for it, as fast as hashes that
guard against chance alone (1.5 GB/s a core, BLAKE2b 1.0), and disks are slower.
"""

import hashlib
import os
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, Any

import numpy as np

from kdcli.core.arrays import Indices, Ints, Pixels
from kdcli.core.errors import DataError
from kdcli.core.files import cache_folder
from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Progress
from kdcli.core.row_cache import KEY, RowCache, key_of, keys_of
from kdcli.data.images import image_dimensions
from kdcli.data.threads import WAITING, spread
from kdcli.data.thumbnails import SIDE, small_grey

UNREADABLE = (-1, -1)
"""The sum of a file that cannot be read."""
SETTLED = 2_000_000_000
"""Nanoseconds since a file was last touched, before which its dates are not trusted: changed again
within the same tick of its disk's clock (FAT's takes 2 s), it would have the same ones. As git does
with what it calls racily clean."""

_ROW = np.dtype([("dates", "<i8", 3), ("sum", "<i8", 2), ("size", "<i4", 2)])
_DECODING = BoundedSemaphore(usable_cores())
"""More threads read than decode: pictures of which all has to be decoded take much memory."""


@dataclass(frozen=True, eq=False)
class Looks:
    """What is known of files."""

    sums: Ints
    """(n, 2), of their content; `UNREADABLE` for what is."""
    sizes: Ints
    """(n, 2), width and height in pixels as stored; zeros for what has no readable header."""


def look_at_files(root: Path, names: Sequence[str], progress: Progress) -> Looks:
    """Of these files (relative to `root`, or absolute).

    Known by path, size, and the times of the last change of content and of the entry: the latter
    nobody can set, so that a file changed behind its back (`touch -r`) is read again. So is what
    is no image that can be read. What was read is kept, even where an interrupt ends it.
    """
    place = str(root.absolute())
    cache = cached_rows("files", place, _ROW.itemsize)
    keys = keys_of(map(os.fsencode, names))
    known, rows = cache.find(keys)
    found = rows.view(_ROW)[:, 0]
    asked = np.flatnonzero(known)
    known[asked] = (found["dates"][asked] == _dates_of(root, names, asked, progress)).all(1)
    new = np.flatnonzero(~known)
    thumbnails = np.zeros((len(new), SIDE * SIDE), np.uint8)
    lasting, shown = np.zeros((2, len(new)), bool)

    def read(n: int) -> None:
        i = int(new[n])
        try:
            found[i], thumbnail, lasting[n] = _look(root / names[i])
        except OSError:  # reading the image will say why
            found[i] = (0, UNREADABLE, 0)
            return
        if thumbnail is not None:
            thumbnails[n], shown[n] = thumbnail.reshape(-1), lasting[n]

    try:
        spread(len(new), read, progress, "reading files", per_core=WAITING)
    finally:
        cache.keep(keys[new[lasting]], rows[new[lasting]], len(names))
        pictures = cached_rows("thumbnails", place, SIDE * SIDE)
        pictures.keep(content_keys(found["sum"][new[shown]]), thumbnails[shown], len(names))
    return Looks(found["sum"].copy(), found["size"].copy())


def cached_rows(kind: str, place: str, width: int) -> RowCache:
    """What is kept of the images there (`Reader.place`)."""
    return RowCache(cache_folder() / kind / f"{key_of(os.fsencode(place)).hex()}.rows", width)


def content_keys(sums: Ints) -> Pixels:
    """(n, 16), under which is kept what hangs on content alone; `sums` (n, 2)."""
    return np.ascontiguousarray(sums, "<i8").view(np.uint8).reshape(-1, KEY)


def settled_dates(path: Path) -> tuple[int, int, int] | None:
    """Size and both dates of a file, by which a sum over it may be kept; None: not yet."""
    now = time.time_ns()
    try:
        found = _dates(path.stat())
    except OSError:
        return None
    return found if max(found[1:]) < now - SETTLED else None


def bytes_sum(data: "bytes | memoryview") -> tuple[int, int]:
    """The same of a file's bytes."""
    return _numbers(hashlib.sha256(data).digest())


def header_size(file: IO[bytes]) -> tuple[int, int]:
    """Width and height of an image; zeros where it does not say."""
    try:
        return image_dimensions(file, "")
    except DataError:  # as above
        return 0, 0


def _dates_of(root: Path, names: Sequence[str], rows: Indices, progress: Progress) -> Ints:
    """(n, 3) of some of the files, as they are now; -1 for those that are gone."""
    dates = np.full((len(rows), 3), -1)
    places, folder = rows.tolist(), str(root)

    def look(n: int) -> None:
        # strings: a Path takes ten times as long
        path = os.path.join(folder, names[places[n]])  # noqa: PTH118
        with suppress(OSError):
            dates[n] = _dates(os.stat(path))  # noqa: PTH116

    spread(len(places), look, progress, "looking at files", per_core=WAITING)
    return dates


def _look(path: Path) -> tuple[tuple[Any, ...], Pixels | None, bool]:
    """A row, the thumbnail if there is one, and whether both may be kept: of an image, settled, and
    not written to meanwhile. Raises OSError."""
    begun = time.time_ns()
    with path.open("rb") as stream:
        before = _dates(os.fstat(stream.fileno()))
        sums = _numbers(hashlib.file_digest(stream, "sha256").digest())
        size, thumbnail = header_size(stream), None
        if size[0]:
            with _DECODING, suppress(DataError):
                thumbnail = small_grey(stream, path)
        settled = max(before[1:]) < begun - SETTLED and before == _dates(os.fstat(stream.fileno()))
    return (before, sums, size), thumbnail, settled and size[0] > 0


def _dates(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _numbers(digest: bytes) -> tuple[int, int]:
    first, second = struct.unpack("<2q", digest[:16])
    return first, second
