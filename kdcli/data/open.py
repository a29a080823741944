"""What `--data` names: digits, a set that timm knows, a table, IDX files, a folder of images."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kdcli.core.errors import DataError, UsageError
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import did_you_mean
from kdcli.data.source import Source
from kdcli.data.sources.csv_table import open_table
from kdcli.data.sources.digits import open_digits
from kdcli.data.sources.folder import open_folder
from kdcli.data.sources.hub_sets import open_hub
from kdcli.data.sources.idx import holds_idx, open_idx
from kdcli.data.sources.other_tasks import no_data
from kdcli.data.sources.torchvision_sets import open_torch

BUILT_IN: dict[str, Callable[[], Source]] = {"digits": open_digits}
NAMED: dict[str, Callable[[str, Progress], Source]] = {"torch": open_torch, "hfds": open_hub}
"""`torch/NAME`: by prefix."""
FILES: dict[str, Callable[[Path, Progress], Source]] = {".csv": open_table, ".tsv": open_table}
"""By their ending."""
FOLDERS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Progress], Source]], ...] = (
    (holds_idx, lambda path, progress: open_idx(path)),
    (Path.is_dir, open_folder),
)
"""What tells a layout, and what opens it; the first that fits."""
STREAMS = ("hfids", "tfds", "wds")
"""timm reads these from front to back; kd needs to count images and to shuffle all of them."""
TAKES = (
    "--data takes 'digits', a folder of images, a table image,label[,split] (.csv), torch/NAME or "
    "hfds/NAME"
)


def open_source(name: str | None, progress: Progress | None = None) -> Source:
    """A built-in by its name, a folder or table by its path; None is the built-in digits.

    The order matters: `digits` is the built-in one whatever folder is called so (./digits is the
    folder), and `torch/mnist` a name, not a path.

    Raises UsageError for what is none of these, DataError for data that cannot be used.
    """
    try:
        return _open(name, progress or Silent())
    except OSError as error:  # a sub-folder that may not be read, a disk that is gone
        if error.filename is None or error.errno == errno.ENAMETOOLONG:
            raise
        raise DataError(
            f"{error.filename}: cannot be read ({error.strerror})",
            "its permissions and its disk decide that; kd leaves out nothing by itself",
        ) from error


def _open(name: str | None, progress: Progress) -> Source:
    if name is None:
        return replace(open_digits(), is_default=True)
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if not name.strip():
        raise UsageError("--data is empty", TAKES)
    if is_named(name):
        return _from_name(name, progress)
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(name, path, progress)
    for fits, opens in FOLDERS:
        if fits(path):
            return opens(path, progress)
    raise UsageError(f"--data {name}: no such folder or file{did_you_mean(name, BUILT_IN)}", TAKES)


def location(name: str | None) -> str | None:
    """What finds the same data again from any folder; None: the built-in default.

    Written to run.yaml. It is no part of a digest: data that were moved are the same (`identity`).
    """
    if name is None or name in BUILT_IN:
        return name
    if is_named(name):
        prefix, _, rest = name.partition("/")
        local = Path(rest).expanduser()
        return f"{prefix}/{local.resolve()}" if local.is_dir() and prefix == "hfds" else name
    return str(Path(name).expanduser().resolve())


def is_named(name: str) -> bool:
    """Whether `name` begins as timm's names do."""
    prefix, slash, _ = name.partition("/")
    return bool(slash) and prefix.lower() in (*NAMED, *STREAMS)


def _from_name(name: str, progress: Progress) -> Source:
    """The data set of that name, fetched where it is not on this machine yet."""
    prefix, _, rest = name.partition("/")
    if prefix.lower() in STREAMS:
        raise UsageError(
            f"--data {name}: a stream; kd counts the images and shuffles all of them",
            "take torch/NAME or hfds/NAME, or unpack the images into a folder per class",
        )
    if not rest.strip("/"):
        raise UsageError(f"--data {name}: no name", f"such as {prefix}/cifar10")
    return NAMED[prefix.lower()](rest, progress)


def _from_file(name: str, path: Path, progress: Progress) -> Source:
    opens = FILES.get(path.suffix.lower())
    if opens is None:
        raise no_data(path, name)
    return opens(path, progress)
