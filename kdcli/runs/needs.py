"""What a run was made from, refused where it is gone or changed."""

from collections.abc import Iterable
from pathlib import Path

from kdcli.core.errors import DamagedFile
from kdcli.core.files import sha256
from kdcli.core.text import some
from kdcli.runs.spec import TeacherRef


def refuse_changed(given: Iterable[TeacherRef]) -> None:
    """Raise DamagedFile for given teachers that are gone, or are other files by now."""
    files = [(Path(ref.path or ""), ref.sha256) for ref in given]
    wrong = [str(f) for f, digest in files if not f.is_file() or sha256(f) != digest]
    if wrong:
        raise DamagedFile(
            f"teacher {some(wrong, 3)}: gone, or no longer the file that the run was made with",
            "bring it back, or distill again from the new one",
        )
