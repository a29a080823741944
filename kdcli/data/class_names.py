"""Which classes the folders of a data set agree on."""

from pathlib import Path

from kdcli.data.tree import Listing
from kdcli.errors import DataError, did_you_mean
from kdcli.files import shown


def agreed_classes(root: Path, listings: dict[str, Listing]) -> tuple[str, ...]:
    """The classes of train, sorted; every one has training images, and no other split has more.

    Raises DataError for anything that makes no classification task. A class may be absent from
    validation or test.
    """
    train = listings["train"]
    classes = tuple(sorted(train.images))
    _refuse_no_task(root, train)
    for listing in listings.values():
        _refuse_strangers(listing, train)
        if not any(listing.images.values()):
            raise DataError(
                f"{shown(listing.folder)}: no images",
                "put images into its class folders, or remove it",
            )
    for name in classes:
        if not train.images[name]:
            raise DataError(
                f"{shown(train.folder / name)}: a class without training images",
                "put images into it, or remove the folder",
            )
    return classes


def _refuse_no_task(root: Path, train: Listing) -> None:
    if not any(train.images.values()):
        raise DataError(
            f"{shown(root)}: no images in class folders", "put the images of each class into CLASS/"
        )
    if len(train.images) < 2:
        raise DataError(
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
