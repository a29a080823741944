"""What `--data` names."""

from dataclasses import replace
from pathlib import Path

from kdcli.data.digits import open_digits
from kdcli.data.folder import open_folder
from kdcli.data.idx import holds_idx, open_idx
from kdcli.data.named import is_named, open_named
from kdcli.data.other_tasks import no_data
from kdcli.data.source import Source
from kdcli.data.table import open_table
from kdcli.errors import UsageError, did_you_mean
from kdcli.progress import Progress, Silent

BUILT_IN = {"digits": open_digits}
TABLES = (".csv", ".tsv")
TAKES = (
    "--data takes 'digits', a folder of images, a table image,label[,split] (.csv), torch/NAME or "
    "hfds/NAME"
)


def open_source(name: str | None, progress: Progress | None = None) -> Source:
    """A built-in by its name, a folder or table by its path; None is the built-in digits.

    Raises UsageError for what is none of these, DataError for data that cannot be used.
    """
    progress = progress or Silent()
    if name is None:
        return replace(open_digits(), is_default=True)
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if not name.strip():
        raise UsageError("--data is empty", TAKES)
    if is_named(name):
        return open_named(name, progress)
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(name, path, progress)
    if not path.is_dir():
        raise UsageError(
            f"--data {name}: no such folder or file{did_you_mean(name, BUILT_IN)}", TAKES
        )
    return open_idx(path) if holds_idx(path) else open_folder(path, progress)


def location(name: str | None) -> str | None:
    """What finds the same data again from any folder; None: the built-in default."""
    if name is None or name in BUILT_IN:
        return name
    if is_named(name):
        prefix, _, rest = name.partition("/")
        local = Path(rest).expanduser()
        return f"{prefix}/{local.resolve()}" if local.is_dir() and prefix == "hfds" else name
    return str(Path(name).expanduser().resolve())


def _from_file(name: str, path: Path, progress: Progress) -> Source:
    if path.suffix.lower() in TABLES:
        return open_table(path, progress)
    raise no_data(path, name)
