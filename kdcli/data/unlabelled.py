"""A folder of images whose labels nobody knows."""

from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Ints
from kdcli.core.errors import DataError
from kdcli.core.progress import Progress
from kdcli.core.text import counted
from kdcli.data.quality.survey import refuse_unreadable
from kdcli.data.readers import digest_of, open_splits
from kdcli.data.source import Split
from kdcli.data.sources.tree import images_below

UNKNOWN = -1
"""The label of an image that has none: neither `smooth` nor `class_weights` counts it."""


def known_of(labels: Ints) -> int:
    """How many of the images have one."""
    return int((labels != UNKNOWN).sum())


def open_unlabelled(path: Path, progress: Progress) -> Split:
    """Every image below `path`, at any depth, with the label -1; folders mean nothing.

    Headers are looked at now: the teachers are to label all of it before the first step.

    Raises:
        DataError: no such folder, no image in it, or images that cannot be read, all of them named.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder", "give a folder of images")
    names, ignored = images_below(path)
    if not names:
        raise DataError(
            f"{path}: no images in it ({counted(len(ignored), 'other file')})",
            "give a folder of images",
        )
    labels = np.full(len(names), UNKNOWN, dtype=np.int64)
    split = open_splits(path, {"unlabelled": (names, labels)}, progress)["unlabelled"]
    refuse_unreadable(split, progress)
    return split


def identity_of(split: Split) -> dict[str, Any]:
    """What the images are, wherever they lie; `images` is how many."""
    return {"kind": "unlabelled", "images": len(split), "files": digest_of({"unlabelled": split})}
