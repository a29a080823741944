"""Short rows of bytes by their keys, kept between runs; losing them costs time, nothing else.

For what is known of each file of a data set: a million rows are found in a second, and pass through
memory as arrays, where the objects of a dict would take three times as much.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdcli.core.arrays import Bools, Hashes, Indices, Pixels
from kdcli.core.errors import DiskError
from kdcli.core.files import atomic

MOST_BYTES = 1 << 30
"""Of all such files in one folder; those go first that were written longest ago. ImageNet has 82 MB
of looks at files and 350 MB of thumbnails."""
KEY = 16
_HEAD = b"kd rows 2\n"
_SUM = 32


def key_of(name: bytes) -> bytes:
    """What stands for a name of any length."""
    return hashlib.sha256(name).digest()[:KEY]


def keys_of(names: Iterable[bytes]) -> Pixels:
    """(n, 16) of them."""
    return np.frombuffer(b"".join(map(key_of, names)), np.uint8).reshape(-1, KEY)


@dataclass(frozen=True)
class RowCache:
    """A mapping from keys (16 bytes) to rows (`width` bytes), in one file.

    A damaged file, or one of another width, counts as empty and is written anew.
    """

    path: Path
    width: int

    def find(self, keys: Pixels) -> tuple[Bools, Pixels]:
        """Which of the keys (n, 16) are known, and the rows (n, width) of these; zeros else."""
        kept = self._read()
        rows = np.zeros((len(keys), self.width), np.uint8)
        places, known = places_of(kept[:, :KEY], keys)
        rows[known] = kept[places[known], KEY:]
        return known, rows

    def keep(self, keys: Pixels, rows: Pixels, asked: int) -> None:
        """Write the file with these (n, 16) and (n, width), whole or not at all; of none it is not
        touched.

        What another kd has written meanwhile stays, and so do rows that nobody asked for, up to as
        many as the `asked` ones: files may come back, but not for ever. Two that write in the same
        instant lose a few rows, which are then made again. Where nothing can be written, nothing is
        kept.
        """
        if not len(keys):
            return
        others = self._read()
        others = others[~places_of(keys, others[:, :KEY])[1]][: max(0, 2 * asked - len(keys))]
        seal(self.path, np.concatenate([others, np.concatenate([keys, rows], axis=1)]))

    def _read(self) -> Pixels:
        """(n, 16 + width) as they were written."""
        rows, step = unsealed(self.path), KEY + self.width
        return (rows if len(rows) % step == 0 else rows[:0]).reshape(-1, step)


def seal(path: Path, content: Pixels) -> None:
    """Write bytes under their sum, whole or not at all; where nothing can be written, nothing is
    kept. The folder's oldest files go where all are too large."""
    content = content.reshape(-1)
    with suppress(DiskError, OSError):
        with atomic(path) as beside, beside.open("wb") as file:
            file.write(_HEAD + hashlib.sha256(content.data).digest())
            file.write(content.data)
        _prune(path.parent)


def unsealed(path: Path) -> Pixels:
    """(n,) bytes as they were sealed; none where they are damaged or not there."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:
        return np.zeros(0, np.uint8)
    begin = len(_HEAD) + _SUM
    whole = content[len(_HEAD) : begin] == hashlib.sha256(content[begin:]).digest()
    if content[: len(_HEAD)] != _HEAD or not whole:
        return np.zeros(0, np.uint8)
    return np.frombuffer(content[begin:], np.uint8)


def places_of(kept: Pixels, keys: Pixels) -> tuple[Indices, Bools]:
    """Where among `kept` (n, 16) each of the `keys` (m, 16) stands, the first of equal ones; and
    whether it does at all."""
    if not len(kept):
        return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
    sorted_by = np.argsort(_first(kept), kind="stable")
    place = np.searchsorted(_first(kept)[sorted_by], _first(keys))
    places = sorted_by[np.minimum(place, len(kept) - 1)]
    return places, (kept[places] == keys).all(1)


def _first(keys: Pixels) -> Hashes:
    """Their first 8 bytes: enough to sort by, as keys are hashes."""
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64)[:, 0]


def _prune(folder: Path) -> None:
    files = sorted(folder.glob("*.rows"), key=lambda file: -file.stat().st_mtime)
    total = 0
    for number, file in enumerate(files):
        total += file.stat().st_size
        if number and total > MOST_BYTES:  # never the one that was written just now
            file.unlink(missing_ok=True)
