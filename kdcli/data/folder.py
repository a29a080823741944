"""A folder of images, one sub-folder per class."""

import hashlib
import json
import statistics
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcli.data.class_names import agreed_classes
from kdcli.data.images import shorter_side
from kdcli.data.readers import ImageFiles
from kdcli.data.source import Defaults, Schedule, Source, Split
from kdcli.data.splits import carve
from kdcli.data.tree import Listing, find_layout, list_images
from kdcli.errors import DataError

SEED = 0
SHARES = {"test": 0.2, "validation": 0.1}
"""Of all the images to be divided; carved in this order."""

END = 4096
"""Bytes of a file's beginning and of its end that tell it from others."""

SAMPLE = 64
"""Images looked at to tell small pictures from photographs."""


def open_folder(path: Path) -> Source:
    """A source of the images below `path`.

    Layouts: train/ + val/ + test/ · train/ + test/ · train/ + val/ · one folder per class. What
    has no folder is carved from the training images, stratified. Raises DataError, saying where
    and what to do, for folders that make no classification task.
    """
    layout = find_layout(path)
    listings = {role: list_images(path, place) for role, place in layout.folders.items()}
    classes = agreed_classes(path, listings)
    given = {role: _split(path, listing, classes) for role, listing in listings.items()}
    splits = given | _carved(path, given)
    carved = {role: list(splits[role].ids) for role in SHARES if role not in given}
    return Source(
        name=path.resolve().name,
        classes=classes,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        identity=_identity(path, given.values()),
        defaults=_defaults(path, given["train"].ids),
        notes=layout.notes + _notes(listings, classes) + _carved_notes(carved),
        carved=carved,
    )


def _split(root: Path, listing: Listing, classes: tuple[str, ...]) -> Split:
    numbered = [
        (name, label)
        for label, group in enumerate(classes)
        for name in listing.images.get(group, ())
    ]
    names, labels = zip(*sorted(numbered), strict=True)
    return Split(np.array(labels, dtype=np.int64), names, ImageFiles(root, names))


def _carved(root: Path, given: dict[str, Split]) -> dict[str, Split]:
    """Train without what was taken from it, and the splits that were taken."""
    train = given["train"]
    pool, splits = np.arange(len(train)), {}
    for role, share in SHARES.items():
        if role in given:
            continue
        rest, part = carve(train.labels[pool], share * len(train) / len(pool), SEED)
        if not len(part):
            raise DataError(
                f"{root}: {len(train)} training images are too few to take a {role} set from",
                "add images",
            )
        splits[role] = _rows(root, train, pool[part])
        pool = pool[rest]
    return splits | {"train": _rows(root, train, pool)}


def _rows(root: Path, split: Split, rows: NDArray[np.int64]) -> Split:
    names = tuple(split.ids[row] for row in rows)
    return Split(split.labels[rows], names, ImageFiles(root, names))


def _identity(root: Path, given: Iterable[Split]) -> dict[str, Any]:
    names = sorted(name for split in given for name in split.ids)
    known = [(name, *_fingerprint(root / name)) for name in names]
    digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    return {"kind": "folder", "files": digest, "split_seed": SEED, "shares": SHARES}


def _fingerprint(file: Path) -> tuple[int, int]:
    """Size, and a sum over both ends: cheap, and another image of the same size shows."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(END)
        stream.seek(max(0, size - END))
        return size, zlib.crc32(stream.read(END), zlib.crc32(head))


def _defaults(root: Path, names: tuple[str, ...]) -> Defaults:
    rows = np.linspace(0, len(names) - 1, min(SAMPLE, len(names))).astype(int)
    size = image_size(statistics.median(shorter_side(root / names[row]) for row in rows))
    if size > 64:
        small, large = Schedule(20, 64, 1e-3, None), Schedule(10, 32, 3e-4, None)
        return Defaults(size, "crop_flip", pretrained=True, small=small, large=large)
    small, large = Schedule(20, 32, 3e-3, None), Schedule(10, 32, 1e-3, None)
    return Defaults(size, "shift_flip", pretrained=False, small=small, large=large)


def image_size(shorter: float) -> int:
    """The usual training size for images whose shorter side is typically `shorter` pixels."""
    return next((size for size, limit in ((32, 40), (64, 80)) if shorter <= limit), 224)


def _notes(listings: dict[str, Listing], classes: tuple[str, ...]) -> tuple[str, ...]:
    ignored = sum(listing.ignored for listing in listings.values())
    files = (
        "1 file that is not an image" if ignored == 1 else f"{ignored:,} files that are not images"
    )
    lines = [f"{files} of a class ignored"] if ignored else []
    for listing in listings.values():
        absent = [group for group in classes if not listing.images.get(group)]
        lines += [f"{listing.folder.name}/ has no images of {', '.join(absent)}"] if absent else []
    return tuple(lines)


def _carved_notes(carved: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(
        f"{role} set: {len(ids):,} images taken out of the training images"
        for role, ids in carved.items()
    )
