"""An exported file that has changed since is noticed, where its run's record lies beside it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kdcli.core.errors import DamagedFile
from kdcli.core.files import sha256
from kdcli.core.json_text import from_json
from kdcli.deploy.onnx_file.read import EXPORT_AGAIN
from kdcli.runs.layout import EXPORTS


def refuse_changed_export(file: Path) -> None:
    """Return where no record tells of the file, or tells of these bytes.

    Raises:
        DamagedFile: its run's record tells of others.
    """
    told = dict(_recorded(file))
    if told and sha256(file) not in told.values():
        raise DamagedFile(
            f"{file}: not the bytes that {', '.join(told)} tells of: damaged, replaced, or of an "
            "export that was ended before its record was written",
            EXPORT_AGAIN,
        )


def _recorded(file: Path) -> Iterator[tuple[str, str]]:
    """Each record that tells of it, and the sum there; records that cannot be read tell nothing."""
    inside = file.absolute().parent.name == EXPORTS
    folder = file.parent / os.pardir if inside else file.parent
    for record in sorted(folder.glob("*report.json")) if file.is_file() else ():
        with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            for export in from_json(record.read_text("utf-8"))["exports"] or ():
                if (record.parent / export["path"]).samefile(file):
                    yield os.path.normpath(record), str(export["sha256"])
