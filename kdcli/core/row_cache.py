"""Short rows of bytes by their keys, kept between runs; losing them costs time, nothing else.

For what is known of each file of a data set: a hundred thousand rows are read in 0.1 s, where the
JSON of `cache.py` would take seconds.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kdcli.core.errors import DiskError
from kdcli.core.files import atomic

MOST_BYTES = 1 << 30
"""Of all such files in one folder; those go first that were written longest ago. ImageNet has 72 MB
of sums and 185 MB of thumbnails."""
KEY = 16
_HEAD = b"kd rows 1\n"
_SUM = 32


def key_of(name: bytes) -> bytes:
    """What stands for a name of any length."""
    return hashlib.sha256(name).digest()[:KEY]


class RowCache:
    """A mapping from keys (16 bytes) to rows (`width` bytes), in one file.

    A damaged file, or one of another width, counts as empty and is written anew. Several threads
    may call `get` and `put` at once.
    """

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.width = path, width
        self._known = dict(_read(path, width))
        self._new: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """What was put under this key; None where nothing was."""
        return self._known.get(key)

    def put(self, key: bytes, row: bytes) -> None:
        """Remember; on disk only after `save`."""
        self._new[key] = row

    def save(self, asked: int) -> None:
        """Write the file, whole or not at all; nothing new, and none is touched.

        What another kd has written meanwhile stays, and so do rows that nobody asked for, up to as
        many as the `asked` ones: files may come back, but not for ever. Two that save in the same
        instant lose a few rows, which are then made again. Where nothing can be written, nothing is
        kept.
        """
        if not self._new:
            return
        others = [each for each in _read(self.path, self.width) if each[0] not in self._new]
        kept = [*others[: max(0, 2 * asked - len(self._new))], *self._new.items()]
        rows = b"".join(key + row for key, row in kept)
        with suppress(DiskError, OSError):
            with atomic(self.path) as beside:
                beside.write_bytes(_HEAD + hashlib.sha256(rows).digest() + rows)
            _prune(self.path.parent)
        self._known |= self._new
        self._new = {}


def _read(path: Path, width: int) -> Iterator[tuple[bytes, bytes]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    begin, step = len(_HEAD) + _SUM, KEY + width
    rows = content[begin:]
    whole = content[len(_HEAD) : begin] == hashlib.sha256(rows).digest()
    if not content.startswith(_HEAD) or not whole or len(rows) % step:
        return
    for start in range(0, len(rows), step):
        yield rows[start : start + KEY], rows[start + KEY : start + step]


def _prune(folder: Path) -> None:
    files = sorted(folder.glob("*.rows"), key=lambda file: -file.stat().st_mtime)
    total = 0
    for number, file in enumerate(files):
        total += file.stat().st_size
        if number and total > MOST_BYTES:  # never the one that was written just now
            file.unlink(missing_ok=True)
