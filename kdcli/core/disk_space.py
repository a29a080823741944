"""What a disk has left for what will be written, in words where that is too little."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdcli.core.errors import DiskError
from kdcli.core.files import FULL, existing
from kdcli.core.text import size_in_words

ELSEWHERE = "free some space (kd list runs --prune), or set KD_RUNS to another place"


def refuse_full(place: Path, needed: int, fix: str = ELSEWHERE) -> int:
    """How many bytes are free where `place` is or will be, if they are as many as are `needed`.

    Raises:
        DiskError: they are fewer.
    """
    free = shutil.disk_usage(existing(place)).free
    if needed > free:
        raise DiskError(
            f"{place}: {size_in_words(needed)} will be needed, {size_in_words(free)} are free", fix
        )
    return free


@contextmanager
def needing(size: int) -> Iterator[None]:
    """Where the disk is full inside, the DiskError says how many bytes were to be written."""
    try:
        yield
    except DiskError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL):
            raise
        words = f"{error.what}; it takes {size_in_words(size)}"
        raise DiskError(words, error.fix) from error.__cause__
