"""What `--data` names."""

from dataclasses import replace
from pathlib import Path

from kdcli.data.digits import open_digits
from kdcli.data.folder import open_folder
from kdcli.data.idx import holds_idx, open_idx
from kdcli.data.source import Source
from kdcli.errors import DataError, UsageError, did_you_mean

BUILT_IN = {"digits": open_digits}


def open_source(name: str | None) -> Source:
    """A built-in by its name, a folder by its path; None is the built-in digits.

    Raises UsageError for what is neither, DataError for a folder that cannot be used.
    """
    if name is None:
        return replace(open_digits(), is_default=True)
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if not name.strip():
        raise UsageError("--data is empty", "--data takes 'digits' or a folder")
    path = Path(name).expanduser()
    if path.is_file():
        raise DataError(
            f"--data {name}: is a file",
            "give the folder that holds the class folders; unpack an archive first",
        )
    if not path.is_dir():
        raise UsageError(
            f"--data {name}: no such folder{did_you_mean(name, BUILT_IN)}",
            "--data takes 'digits' or a folder",
        )
    return open_idx(path) if holds_idx(path) else open_folder(path)
