"""Image files as the splits of a source hold them: what names them, what tells them apart."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kdcli.data.readers import ImageFiles, file_print
from kdcli.data.source import Split
from kdcli.data.spread import WAITING, spread
from kdcli.files import shown
from kdcli.progress import Progress


def open_files(root: Path, names: Sequence[str], progress: Progress) -> ImageFiles:
    """A reader of these files (relative to `root`, or absolute); looks at both ends of each."""
    prints = spread(
        len(names),
        lambda i: file_print(root / names[i]),
        progress,
        "looking at files",
        per_core=WAITING,
    )
    return ImageFiles(root, tuple(names), np.array(prints, dtype=np.int64).reshape(-1, 2))


def unique_ids(names: Sequence[str]) -> tuple[str, ...]:
    """The names as they can be written; those that would then be the same get a number."""
    ids = tuple(map(shown, names))
    if len(set(ids)) == len(ids):
        return ids
    return tuple(
        f"{name} #{i}" if name != raw else name
        for i, (raw, name) in enumerate(zip(names, ids, strict=True))
    )


def digest_of(given: Mapping[str, Split], classes: Sequence[str] = ()) -> str:
    """Of names, sizes and ends of all files: what they are, wherever they lie.

    With `classes` also of each image's split and label, where its name does not tell them.
    """
    known = sorted(
        (name, *split.read.fingerprint(i), *((role, classes[label]) if classes else ()))
        for role, split in given.items()
        for i, (name, label) in enumerate(zip(split.ids, split.labels, strict=True))
    )
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
