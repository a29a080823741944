"""What lies in a folder of images: which splits, which classes, which files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdcli.core.errors import DataError
from kdcli.core.text import class_name, did_you_mean, shown
from kdcli.data.images import is_image_name
from kdcli.data.splits import ROLES, with_test_set


@dataclass(frozen=True, eq=False)
class Layout:
    """Which folder holds which split; a split without a folder is carved from train."""

    folders: dict[str, Path]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of one split."""

    folder: Path
    images: dict[str, tuple[str, ...]]
    """Class to the sorted posix paths of its images, relative to the data's root; classes in the
    order of their folders' names as stored."""
    ignored: tuple[str, ...]
    """Files that are not images, or lie outside the class folders; relative to the data's root."""


def find_layout(root: Path) -> Layout:
    """Split folders where there are any, else `root` itself as one set to be divided.

    Raises:
        DataError: split folders without a train/, or two that could be the same split.
    """
    children = subfolders(root)
    named = [child for child in children if child.name.lower() in ROLES]
    trains = [child for child in named if child.name.lower() == "train"]
    # A class may be called "train"; the split of that name has class folders in it.
    if not any(subfolders(train) for train in trains):
        if named and len(named) == len(children):
            raise DataError(
                f"{root}: {_names(named)} but no train/ with class folders in it",
                "put the training images into train/CLASS/, or give the folder of classes itself",
            )
        return Layout({"train": root})
    return _layout(_assigned(root, named), _left_out(children, named))


def list_images(root: Path, folder: Path) -> Listing:
    """Every image below each class folder, at any depth; hidden files do not exist."""
    classes = subfolders(folder)
    images: dict[str, tuple[str, ...]] = {}
    ignored = loose_files(root, folder)
    for place in classes:
        files = {path.relative_to(root).as_posix(): _is_image(path) for path in walk(place)}
        names = [path for path, is_image in files.items() if is_image]
        name = class_name(place.name)
        # two folders whose names differ in spelling an umlaut alone are one class
        images[name] = tuple(sorted((*images.get(name, ()), *names)))
        ignored += [path for path, is_image in files.items() if not is_image]
    return Listing(folder, images, tuple(ignored))


def images_below(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Every image below a folder, at any depth, and every other file: sorted posix paths."""
    files = {path.relative_to(root).as_posix(): _is_image(path) for path in walk(root)}
    images = sorted(path for path, is_image in files.items() if is_image)
    return tuple(images), tuple(sorted(files.keys() - set(images)))


def loose_files(root: Path, folder: Path) -> list[str]:
    """The files of a folder itself, relative to `root`; hidden ones do not exist."""
    files = (child for child in folder.iterdir() if child.is_file() and not _is_hidden(child))
    return [child.relative_to(root).as_posix() for child in files]


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name as stored; hidden ones do not exist."""
    found = (child for child in folder.iterdir() if child.is_dir() and not _is_hidden(child))
    # by the name itself: paths sort regardless of case on Windows, torchvision's ImageFolder not
    return sorted(found, key=lambda child: child.name)


def _assigned(root: Path, named: list[Path]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for child in named:
        role = ROLES[child.name.lower()]
        if role in folders:
            raise DataError(
                f"{root}: both {folders[role].name}/ and {child.name}/ could be the {role} set",
                "keep one of them",
            )
        folders[role] = child
    return folders


def _layout(folders: dict[str, Path], notes: tuple[str, ...]) -> Layout:
    """The test set may be the one called validation (`with_test_set`), which is then said."""
    assigned, moved = with_test_set(folders)
    if moved:
        notes = (*notes, f"no test/: {shown(assigned['test'].name)}/ is the test set")
    return Layout(assigned, notes)


def _left_out(children: list[Path], named: list[Path]) -> tuple[str, ...]:
    others = [child for child in children if child not in named]
    return (f"beside the splits, ignored: {_names(others)}",) if others else ()


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder; hidden ones do not exist."""
    for child in folder.iterdir():
        if _is_hidden(child):
            continue
        if child.is_dir() and not child.is_symlink():  # a link may lead back up
            yield from walk(child)
        else:
            yield child


def _is_image(path: Path) -> bool:
    return is_image_name(path) and path.is_file()


def _is_hidden(path: Path) -> bool:
    # __MACOSX: macOS's zip leaves a shadow of every file there, `._cat.jpg`, with an image's suffix
    return path.name.startswith(".") or path.name == "__MACOSX"


def _names(folders: list[Path]) -> str:
    return ", ".join(f"{shown(folder.name)}/" for folder in folders)


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
