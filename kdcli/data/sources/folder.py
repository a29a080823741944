"""A folder of images, one sub-folder per class."""

from itertools import chain
from pathlib import Path

import numpy as np

from kdcli.core.arrays import Indices
from kdcli.core.errors import KdError
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import shown
from kdcli.data.defaults import defaults_of
from kdcli.data.readers import digest_of, open_splits
from kdcli.data.source import NewImages, Source, at
from kdcli.data.sources.folder_layout import Listing, agreed_classes, list_images
from kdcli.data.sources.other_tasks import explained, refuse_other_tasks
from kdcli.data.sources.own_output import left_out
from kdcli.data.sources.split_folders import Layout, find_layout, find_test_folder, no_classes
from kdcli.data.sources.tree import loose_files
from kdcli.data.splits import complete


def open_folder(path: Path, progress: Progress | None = None) -> Source:
    """A source of the images below `path`.

    Layouts: train/ + val/ + test/ · train/ + test/ · train/ + val/ · one folder per class. What
    has no folder is carved from the training images, stratified. Raises DataError, saying where
    and what to do, for folders that make no classification task.

    Classes are numbered in the order of their folders' names as stored, which is ImageFolder's of
    torchvision; the names themselves are normalised. Identity is of names and content of the files:
    a copy elsewhere is the same data, a renamed file is other data.
    """
    refuse_other_tasks(path)
    layout, listings, classes = _looked_at(path)
    ignored = _ignored(path, listings)
    listed = {role: _listed(listing, classes) for role, listing in listings.items()}
    given = open_splits(path, listed, progress or Silent())
    return complete(
        given,
        name=path.resolve().name,
        where=str(path),
        classes=classes,
        identity={"kind": "folder", "files": digest_of(given)},
        defaults=defaults_of(given["train"]),
        notes=layout.notes + _notes(listings, classes, len(ignored)) + left_out(path),
        ignored=ignored,
    )


def open_new_folder(path: Path, progress: Progress | None = None) -> NewImages:
    """The images of its test split, or all of them where it has the class folders alone.

    Raises DataError for folders that hold no labelled images.
    """
    refuse_other_tasks(path)
    layout = find_test_folder(path)
    listing = list_images(path, layout.folders["test"])
    classes = tuple(name for name, images in listing.images.items() if images)
    if not classes:
        raise no_classes(
            path,
            f"{shown(listing.folder)}: no images in class folders",
            "put the images of each class into CLASS/",
        )
    split = open_splits(path, {"test": _listed(listing, classes)}, progress or Silent())["test"]
    ignored = _ignored(path, {"test": listing})
    notes = layout.notes + _notes({"test": listing}, classes, len(ignored))
    return NewImages(path.resolve().name, classes, split, notes)


def _looked_at(path: Path) -> tuple[Layout, dict[str, Listing], tuple[str, ...]]:
    try:
        layout = find_layout(path)
        listings = {role: list_images(path, place) for role, place in layout.folders.items()}
        return layout, listings, agreed_classes(path, listings)
    except KdError as error:
        raise explained(path, error) from error


def _listed(listing: Listing, classes: tuple[str, ...]) -> tuple[tuple[str, ...], Indices]:
    groups = [listing.images.get(group, ()) for group in classes]
    names = list(chain.from_iterable(groups))
    labels = np.repeat(np.arange(len(groups)), list(map(len, groups)))
    # by name, not as the disk lists them: a place in the split decides what an image is drawn for
    order = np.array(sorted(range(len(names)), key=names.__getitem__))
    return at(names, order), labels[order]


def _ignored(root: Path, listings: dict[str, Listing]) -> tuple[str, ...]:
    """All but hidden files that are no images of a class, in words that can be printed."""
    # not twice, where the folder itself is the one split
    beside = () if root in (one.folder for one in listings.values()) else loose_files(root, root)
    found = [*beside, *(name for listing in listings.values() for name in listing.ignored)]
    return tuple(sorted(map(shown, found)))


def _notes(listings: dict[str, Listing], classes: tuple[str, ...], ignored: int) -> tuple[str, ...]:
    files = (
        "1 file that is not an image" if ignored == 1 else f"{ignored:,} files that are not images"
    )
    lines = [f"{files} of a class ignored"] if ignored else []
    for listing in listings.values():
        absent = [shown(group) for group in classes if not listing.images.get(group)]
        place = shown(listing.folder.name)
        lines += [f"{place}/: {note}" for note in listing.notes]
        lines += [f"{place}/ has no images of {', '.join(absent)}"] if absent else []
    return tuple(lines)
