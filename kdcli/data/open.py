"""What `--data` names: digits, a set that timm knows, a table, IDX files, a folder of images."""

import os
from dataclasses import replace
from pathlib import Path

from kdcli.core.errors import UsageError
from kdcli.core.files import cache_folder
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import did_you_mean
from kdcli.data.source import Source
from kdcli.data.sources.digits import open_digits
from kdcli.data.sources.folder import open_folder
from kdcli.data.sources.hub_sets import open_hub
from kdcli.data.sources.idx import holds_idx, open_idx
from kdcli.data.sources.other_tasks import no_data
from kdcli.data.sources.table import open_table
from kdcli.data.sources.torchvision_sets import open_torch

BUILT_IN = {"digits": open_digits}
TABLES = (".csv", ".tsv")
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


def _from_file(name: str, path: Path, progress: Progress) -> Source:
    if path.suffix.lower() in TABLES:
        return open_table(path, progress)
    raise no_data(path, name)


PREFIXES = ("torch", "hfds")


STREAMS = ("hfids", "tfds", "wds")
"""timm reads these from front to back; kd needs to count images and to shuffle all of them."""


def is_named(name: str) -> bool:
    """Whether `name` begins as timm's names do."""
    prefix, slash, _ = name.partition("/")
    return bool(slash) and prefix.lower() in (*PREFIXES, *STREAMS)


def open_named(name: str, progress: Progress) -> Source:
    """The data set of that name, fetched where it is not on this machine yet.

    Raises UsageError for names of another kind, DataError for sets that cannot be had or used.
    """
    prefix, _, rest = name.partition("/")
    if prefix.lower() in STREAMS:
        raise UsageError(
            f"--data {name}: a stream; kd counts the images and shuffles all of them",
            "take torch/NAME or hfds/NAME, or unpack the images into a folder per class",
        )
    if not rest.strip("/"):
        raise UsageError(f"--data {name}: no name", f"such as {prefix}/cifar10")
    if prefix.lower() == "torch":
        return open_torch(rest, data_folder(), progress)
    return open_hub(rest, os.environ.get("KD_DATA"), progress)


def data_folder() -> Path:
    """Where torchvision's sets lie, and are fetched to: `$KD_DATA`, else kd's own cache."""
    own = os.environ.get("KD_DATA")
    return Path(own).expanduser() if own else cache_folder() / "data"
