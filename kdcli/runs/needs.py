"""What a run was made from, refused where it is gone or changed."""

from collections.abc import Iterable
from pathlib import Path

from kdcli.core.errors import DamagedFile
from kdcli.core.files import sha256
from kdcli.core.text import some
from kdcli.runs.spec import FileRef, TeacherRef

NAMED = 3
"""Files that a message names."""


def refuse_changed(given: Iterable[TeacherRef | FileRef]) -> None:
    """Raise DamagedFile for given teachers, or starting weights, that are gone or other files.

    By sha256: a run is known by the bytes it was made from, and a file of that name with others
    would teach a student that nobody could repeat. Those that kd trains itself are found by spec.
    """
    files = [(one, Path(one.path or "")) for one in given]
    wrong = [(one, path) for one, path in files if not path.is_file() or sha256(path) != one.sha256]
    if not wrong:
        return
    teaches = isinstance(wrong[0][0], TeacherRef)
    names = some((str(path) for _, path in wrong), NAMED)
    raise DamagedFile(
        f"{'teacher' if teaches else 'starting weights'} {names}: gone, or no longer the file that "
        "the run was made with",
        f"bring it back, or {'distill' if teaches else 'train'} again from the new one",
    )
