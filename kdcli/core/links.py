"""Run folders may be a stranger's: nothing is written through a link that lies in one.

Most files are written beside their place and renamed (`files.atomic`), which replaces a link. What
is left is to append, and to write into a folder that may be a link. The run folder itself, and what
is above it, a person has named: those may be links.
"""

import os
import stat
from pathlib import Path
from typing import IO

from kdcli.core.errors import DiskError
from kdcli.core.files import disk_errors

# on Windows there is no such flag: a link that comes between the look and the opening is followed;
# not to block: a pipe without a reader would hold kd for ever
_HOW = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_HOW |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_to_append(path: Path) -> IO[bytes]:
    """A file to write to behind what it holds; it is made where there is none.

    Raises:
        DiskError: a link or no file, full, read-only, or no permission.
    """
    refuse_link(path)
    with disk_errors(path):
        number = os.open(path, _HOW, 0o666)
        if stat.S_ISREG(os.fstat(number).st_mode):
            return os.fdopen(number, "ab")
        os.close(number)
    raise DiskError(f"{path}: cannot be written (no file)", f"move {path} away")


def append(path: Path, text: str) -> None:
    """Add to the end of a text file; surrogates are spelled out. Raises as `open_to_append`."""
    with open_to_append(path) as file, disk_errors(path):
        file.write(text.encode("utf-8", "backslashreplace"))
        file.flush()  # here, where a full disk is told in words


def refuse_link(path: Path) -> None:
    """Raise DiskError for a link, to whatever it leads."""
    if path.is_symlink():
        raise DiskError(
            f"{path}: cannot be written (a link, and kd follows none inside a run)",
            f"remove the link: rm {path}",
        )
