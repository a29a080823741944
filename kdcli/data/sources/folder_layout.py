"""What lies in the folder of a split: which classes, which files."""

from dataclasses import dataclass
from pathlib import Path

from kdcli.core.errors import DataError
from kdcli.core.text import class_name, did_you_mean, shown
from kdcli.data.class_list import written_twice
from kdcli.data.sources.own_output import way_out_of_output
from kdcli.data.sources.split_folders import no_classes
from kdcli.data.sources.tree import images_below, loose_files, refuse_dead_links, subfolders


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of one split."""

    folder: Path
    images: dict[str, tuple[str, ...]]
    """Class to the sorted posix paths of its images, relative to the data's root; classes in the
    order of their folders' names as stored."""
    ignored: tuple[str, ...]
    """Files that are not images, or lie outside the class folders; relative to the data's root."""
    notes: tuple[str, ...] = ()


def list_images(root: Path, folder: Path) -> Listing:
    """Every image below each class folder, at any depth."""
    refuse_dead_links(folder)
    classes = subfolders(folder)
    images: dict[str, tuple[str, ...]] = {}
    ignored = loose_files(root, folder)
    for place in classes:
        names, others = images_below(root, place)
        name = class_name(place.name)
        # two folders whose names differ in spelling an umlaut alone are one class
        images[name] = tuple(sorted((*images.get(name, ()), *names)))
        ignored += others
    notes = written_twice(place.name for place in classes)
    return Listing(folder, images, tuple(ignored), notes)


def agreed_classes(root: Path, listings: dict[str, Listing]) -> tuple[str, ...]:
    """The classes of train, in order; every one has training images, and no other split has more.

    A class that only the test has could never be answered: every such image would count as wrong.
    Raises DataError for anything that makes no classification task. A class may be absent from
    validation or test.
    """
    train = listings["train"]
    classes = tuple(train.images)
    _refuse_no_task(root, train)
    for listing in listings.values():
        _refuse_strangers(listing, train)
        if not any(listing.images.values()):
            raise DataError(
                f"{shown(listing.folder)}: no images",
                "put images into its class folders, or take it out of the data",
            )
    for name in classes:
        if not train.images[name]:
            raise no_classes(
                train.folder,
                f"{shown(train.folder / name)}: a class without training images",
                way_out_of_output(train.folder / name)
                or "put images into it, or take it out of the data",
            )
    return classes


def _refuse_no_task(root: Path, train: Listing) -> None:
    if not any(train.images.values()):
        raise no_classes(
            root,
            f"{shown(root)}: no images in class folders",
            "put the images of each class into CLASS/",
        )
    if len(train.images) < 2:
        raise no_classes(
            train.folder,
            f"{shown(train.folder)}: one class only ({shown(next(iter(train.images)))})",
            "a classifier needs two class folders or more; give the folder that holds them",
        )


def _refuse_strangers(listing: Listing, train: Listing) -> None:
    for name in sorted(listing.images.keys() - train.images.keys()):
        raise DataError(
            f"{shown(listing.folder / name)}: no such class in {train.folder.name}/"
            f"{did_you_mean(name, train.images)}",
            "give a class the same folder name in every split",
        )
