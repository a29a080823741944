"""Data sets by the names that timm's create_dataset reads: torch/NAME and hfds/NAME."""

import os
from pathlib import Path

from kdcli.data.hub_sets import open_hub
from kdcli.data.source import Source
from kdcli.data.torch_sets import open_torch
from kdcli.errors import UsageError
from kdcli.files import cache_folder
from kdcli.progress import Progress

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
