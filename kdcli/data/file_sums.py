"""Sums over whole files, kept between runs: a file that was not touched costs a look at its dates.

SHA-256, half of it: with the instructions that processors have for it, as fast as hashes that
guard against chance alone (1.5 GB/s a core, BLAKE2b 1.0), and disks are slower.
"""

import hashlib
import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kdcli.core.arrays import Ints
from kdcli.core.files import cache_folder
from kdcli.core.progress import Progress
from kdcli.core.row_cache import RowCache, key_of
from kdcli.data.threads import WAITING, spread

UNREADABLE = (-1, -1)
SETTLED = 2_000_000_000
"""Nanoseconds since a file was last touched, before which its dates are not trusted: changed again
within the same tick of its disk's clock (FAT's takes 2 s), it would have the same ones. As git does
with what it calls racily clean."""

_ROW = struct.Struct("<5q")
"""Size, both dates, sum."""


def file_sums(root: Path, names: Sequence[str], progress: Progress) -> Ints:
    """(n, 2) of these files (relative to `root`, or absolute); `UNREADABLE` for what is.

    By path, size, and the times of the last change of content and of the entry: the latter nobody
    can set, so that a file changed behind its back (`touch -r`) is read again.
    """
    cache = cached_rows("files", root, _ROW.size)

    def look(i: int) -> tuple[int, int]:
        key = key_of(os.fsencode(names[i]))
        try:
            return _sum(root / names[i], key, cache)
        except OSError:  # reading the image will say why
            return UNREADABLE

    sums = spread(len(names), look, progress, "reading files", per_core=WAITING)
    cache.save(asked=len(names))
    return np.array(sums, dtype=np.int64).reshape(-1, 2)


def cached_rows(kind: str, root: Path, width: int) -> RowCache:
    """What is kept of the files below `root`."""
    name = key_of(os.fsencode(root.absolute())).hex()
    return RowCache(cache_folder() / kind / f"{name}.rows", width)


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


def _sum(path: Path, key: bytes, cache: RowCache) -> tuple[int, int]:
    row = cache.get(key)
    known = _ROW.unpack(row) if row else ()
    if known and known[:3] == _dates(os.stat(path)):  # noqa: PTH116  # a tenth of the time
        return known[3], known[4]
    begun = time.time_ns()
    with path.open("rb") as stream:
        before = _dates(os.fstat(stream.fileno()))
        found = _numbers(hashlib.file_digest(stream, "sha256").digest())
        # settled, and not written to meanwhile
        if max(before[1:]) < begun - SETTLED and before == _dates(os.fstat(stream.fileno())):
            cache.put(key, _ROW.pack(*before, *found))
    return found


def _dates(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _numbers(digest: bytes) -> tuple[int, int]:
    first, second = struct.unpack("<2q", digest[:16])
    return first, second
