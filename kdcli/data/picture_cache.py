"""Decoded pictures by the content of their files, kept between epochs and runs; losing them costs
time, nothing else.

Append only: each process that writes has a segment of its own, so that nobody waits for anybody,
and a kill leaves what was whole. `NAME.pixels` holds bytes, `NAME.rows` says which picture lies
where, each row written behind its pixels.
"""

import mmap
import os
import secrets
import shutil
import struct
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from kdcli.core.arrays import Pixels
from kdcli.core.errors import UsageError
from kdcli.core.files import cache_folder, existing

MOST_BYTES = 20_000_000_000
"""Of all pictures that are kept: what memory may hold of a disk. `$KD_CACHE_BYTES` says otherwise;
0 keeps none."""
SHARE_OF_DISK = 10
"""At most one part in so many of what would be free without them."""
PIECE = 1 << 26
"""Bytes that a process writes before it looks again whether there is room."""
PIECES = 64
"""At most such a part of what is left: processes that write at once go no further beyond it."""
PATIENCE = 100
"""So many times as long as a look for others' segments took, none is taken again."""
IDLE = 24 * 3600
"""Seconds since a folder of pictures was opened or written to, after which it may go: two trainings
at once would else throw out each other's."""

Key = tuple[int, int]
"""Of a file's content (`Reader.fingerprint`)."""
_ROW = struct.Struct("<3q3I")
_SUM = struct.Struct("<I")
_STEP = _ROW.size + _SUM.size
"""Of rows: key and place of a picture, and a sum over that."""


def pictures_folder() -> Path:
    """Where all of them lie, a folder for each rule by which files become pixels."""
    return cache_folder() / "photographs"


def capacity() -> int:
    """Bytes that pictures may take in all; 0 where nothing can be written.

    Raises:
        UsageError: `$KD_CACHE_BYTES` is no number.
    """
    folder = pictures_folder()
    try:
        disk = existing(folder)
        share = (shutil.disk_usage(disk).free + _used(folder)) // SHARE_OF_DISK
        return min(_limit(), share) if os.access(disk, os.W_OK) else 0
    except OSError:
        return 0


def _limit() -> int:
    wanted = os.environ.get("KD_CACHE_BYTES") or str(MOST_BYTES)
    if not wanted.isdecimal():
        raise UsageError(
            f"KD_CACHE_BYTES={wanted}: not a number of bytes",
            "0 keeps no decoded photographs, 20000000000 is as if it were not set",
        )
    return int(wanted)


def _used(folder: Path) -> int:
    total = 0
    for file in folder.glob("*/*"):
        with suppress(OSError):  # another kd has just made room
            total += file.stat().st_size
    return total


class _Place(NamedTuple):
    segment: str
    start: int
    height: int
    width: int
    crc: int

    @property
    def end(self) -> int:
        return self.start + self.height * self.width * 3


class PictureCache:
    """A mapping from keys to pictures (H, W, 3), in a folder that processes share.

    What is damaged, or not whole yet, is not there. Several threads may call `get` and `put` at
    once. Pickled or forked, it goes on with a segment of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[Key, _Place] = {}
        self._sound: set[Key] = set()
        """Whose pixels were found to be what was written."""
        self._maps: dict[str, Pixels] = {}
        self._rows_read: dict[str, int] = {}
        self._next_look = 0.0
        self._segment: _Segment | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return PictureCache, (self.folder,)

    def get(self, key: Key) -> Pixels | None:
        """The picture, not to be written to; None where it is not there, or was not a moment ago.

        What has been written since is looked for at most a hundredth of the time.
        """
        if key not in self._places and time.monotonic() >= self._next_look:
            with self._lock:
                begun = time.monotonic()
                self._look()
                self._next_look = time.monotonic() + PATIENCE * (time.monotonic() - begun)
        place = self._places.get(key)
        found = self._pixels(place) if place else None
        if place is None or found is None:
            return None
        if key not in self._sound:
            if zlib.crc32(found.data) != place.crc:
                self._places.pop(key, None)
                return None
            self._sound.add(key)
        return found.reshape(place.height, place.width, 3)

    def put(self, key: Key, picture: Pixels) -> None:
        """Keep a picture, if there is room; who looks finds it."""
        with self._lock:
            if self._segment is None or self._segment.process != os.getpid():
                self._segment = _Segment(self.folder)
            self._segment.append(key, picture)

    def _pixels(self, place: _Place) -> Pixels | None:
        known = self._maps.get(place.segment)
        if known is None or len(known) < place.end:  # it has grown; who holds the former keeps it
            try:
                with (self.folder / f"{place.segment}.pixels").open("rb") as file:
                    whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # gone meanwhile
                return None
            known = self._maps[place.segment] = np.frombuffer(whole, np.uint8)
        return known[place.start : place.end]

    def _look(self) -> None:
        """For rows that were written since; those of a segment come one behind the other."""
        with suppress(OSError):
            if not self._places:
                os.utime(self.folder)  # it is used
            for file in self.folder.glob("*.rows"):
                if file.stat().st_size >= self._rows_read.get(file.stem, 0) + _STEP:
                    self._read(file)

    def _read(self, file: Path) -> None:
        begin = self._rows_read.get(file.stem, 0)
        with file.open("rb") as stream:
            stream.seek(begin)
            written = stream.read()
        size = file.with_suffix(".pixels").stat().st_size  # behind the rows, as they are written
        whole = len(written) // _STEP * _STEP
        for at in range(0, whole, _STEP):
            first, second, *place = _ROW.unpack_from(written, at)
            own = zlib.crc32(written[at : at + _ROW.size])
            found = _Place(file.stem, *place)
            if _SUM.unpack_from(written, at + _ROW.size) == (own,) and found.end <= size:
                self._places[first, second] = found
        self._rows_read[file.stem] = begin + whole


class _Segment:
    """Of one process; it ends where there is no more room."""

    def __init__(self, folder: Path) -> None:
        self.process = os.getpid()
        self._folder = folder
        self._files: tuple[IO[bytes], IO[bytes]] | None = None
        self._size, self._granted, self._over = 0, 0, False

    def append(self, key: Key, picture: Pixels) -> None:
        """Pixels first, then the row; whatever is refused on the way is the end."""
        if self._over:
            return
        try:
            if self._size + picture.nbytes > self._granted:
                room = _room(self._folder)
                # of little room in small pieces: others write, too, and nobody waits for anybody
                piece = max(min(PIECE, room // PIECES), picture.nbytes)
                self._granted = self._size + min(piece, room)
            fits = self._size + picture.nbytes <= self._granted
            self._over = not (fits and self._write(key, np.ascontiguousarray(picture)))
        except OSError:
            self._over = True

    def _write(self, key: Key, picture: Pixels) -> bool:
        if self._files is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._folder / f"{secrets.token_hex(8)}.pixels"
            self._files = file.open("xb", 0), file.with_suffix(".rows").open("xb", 0)
        pixels, rows = self._files
        row = _ROW.pack(*key, self._size, *picture.shape[:2], zlib.crc32(picture.data))
        self._size += picture.nbytes
        # not buffered: what is written is there for others, and a short count is a full disk
        return pixels.write(picture.data) == picture.nbytes and bool(
            rows.write(row + _SUM.pack(zlib.crc32(row)))
        )


def _room(folder: Path) -> int:
    """Bytes that may still be written; folders that nobody has used for long make room, those used
    least recently first."""
    used = {other: other.stat().st_mtime for other in folder.parent.glob("*") if other != folder}
    idle = [other for other, last in used.items() if last < time.time() - IDLE]
    idle.sort(key=used.__getitem__, reverse=True)
    while (room := capacity() - _used(folder.parent)) < PIECE and idle:
        shutil.rmtree(idle.pop(), ignore_errors=True)
    return max(0, room)
