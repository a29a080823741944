"""Which folder holds which split; and what looks like splits under other names is refused, as it
would pass for classes: `Testing` and `Training`, told apart at 79%."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from shlex import quote

from kdcli.core.errors import DataError, KdError, UsageError
from kdcli.core.text import class_name, shown, some
from kdcli.data.sources.tree import images_in, refuse_dead_links, subfolders
from kdcli.data.splits import ROLES, role_of, says_nothing, with_test_set

DEPTH = 3
"""Levels below the folder that was given, at which class folders are looked for."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Which folder holds which split; a split without a folder is carved from train."""

    folders: dict[str, Path]
    notes: tuple[str, ...] = ()


def find_layout(root: Path) -> Layout:
    """Split folders where there are any, else `root` itself as one set to be divided.

    Raises:
        DataError: split folders without a train/, two that could be the same split, or folders that
            hold the same folders again and may be splits.
    """
    refuse_dead_links(root)  # a split may be away, too
    children = subfolders(root)
    named = {child: role for child in children if (role := role_of(child.name))}
    # A class may be called "train"; the split of that name has class folders in it.
    trains = [child for child, role in named.items() if role == "train"]
    if not any(subfolders(train) for train in trains):
        if named and len(named) == len(children):
            raise DataError(
                f"{shown(root)}: {_names(list(named))} but no train/ with class folders in it",
                "put the training images into train/CLASS/, or give the folder of classes itself",
            )
        _refuse_repeated(root, children)
        return Layout({"train": root})
    folders = _assigned(root, named)
    others = [child for child in children if child not in named]
    if "test" not in folders:  # else it is the others that nobody needs
        _refuse_repeated(root, [folders["train"], *others])
    _refuse_repeated(folders["train"], subfolders(folders["train"]))
    return _layout(folders, _said(named, others))


def find_test_folder(root: Path) -> Layout:
    """Where the images to measure on lie: the test folder beside a train/ or alone (else that of
    validation, which is then said), or `root` itself where it has the class folders; as `test`.

    Raises:
        DataError: training images alone, or what `find_layout` refuses.
    """
    children = subfolders(root)
    named = {child: role for child in children if (role := role_of(child.name))}
    splits = {child: role for child, role in named.items() if subfolders(child)}
    if not splits:
        _refuse_repeated(root, children)
        return Layout({"test": root}, ("no splits in it: all of its images are measured",))
    assigned, moved = with_test_set(_assigned(root, splits))
    if "test" not in assigned:
        (train,) = assigned.values()
        raise DataError(
            f"{shown(root)}: {shown(train.name)}/ but no test/ with class folders in it",
            f"give the folder of classes itself: --test {quote(str(train))}",
        )
    test = assigned["test"]
    said = f"its {shown(test.name)}/ is measured" + ", as there is no test/" * moved
    return Layout({"test": test}, (said,))


def _assigned(root: Path, named: dict[Path, str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for child, role in named.items():
        if role in folders:
            raise DataError(
                f"{shown(root)}: both {shown(folders[role].name)}/ and {shown(child.name)}/ could "
                f"be the {role} set",
                "keep one of them",
            )
        folders[role] = child
    return {role: _innermost(folder) for role, folder in folders.items()}


def _innermost(split: Path) -> Path:
    """`seg_train/seg_train/`, `train/images/`: where the one folder in it is no class."""
    inner = subfolders(split)
    if len(inner) != 1 or images_in(split) or not subfolders(inner[0]):
        return split
    name = inner[0].name
    return _innermost(inner[0]) if says_nothing(name) or role_of(name) else split


def _said(named: dict[Path, str], others: list[Path]) -> tuple[str, ...]:
    renamed = [
        f"{shown(child.name)}/ is the {role} set"
        for child, role in named.items()
        if child.name.lower() not in ROLES
    ]
    return (*renamed, *((f"beside the splits, ignored: {_names(others)}",) if others else ()))


def _layout(folders: dict[str, Path], notes: tuple[str, ...]) -> Layout:
    """The test set may be the one called validation (`with_test_set`), which is then said."""
    assigned, moved = with_test_set(folders)
    if moved:
        notes = (*notes, f"no test/: {shown(assigned['test'].name)}/ is the test set")
    return Layout(assigned, notes)


def _names(folders: Sequence[Path]) -> str:
    return some(f"{shown(folder.name)}/" for folder in folders)


# Splits under other names ------------------------------------------------------------------------


def _refuse_repeated(root: Path, children: list[Path]) -> None:
    """Raise DataError where two of the folders hold the same folders again.

    Two names or more, and half of those of the smaller: `images/` in each class folder is none.
    Folders with images of their own are classes, whatever else is in them; but for a stray few.
    """
    inside = {child: _held(child) for child in children}
    several = {child: names for child, names in inside.items() if len(names) > 1}
    for child, names in several.items():
        roles = {role_of(name) for name in names.values()} - {None}
        if "train" in roles and len(roles) > 1:
            raise _turned(root, child, names)
    for (one, these), (other, those) in combinations(several.items(), 2):
        same = these.keys() & those.keys()
        if len(same) > 1 and 2 * len(same) >= min(len(these), len(those)):
            raise DataError(
                f"{shown(root)}: {_names([one, other])} hold the same folders again "
                f"({some((shown(these[name]) for name in sorted(same)), 4)}): splits, not classes?",
                "call the splits train/, val/ and test/ (of folds, gather in train/ those to train "
                "on); if they are classes, put the images of each into one folder, or give a table "
                "image,label (.csv)",
            )


def _turned(root: Path, child: Path, names: dict[str, str]) -> DataError:
    """Of one that holds the splits: a fold, with class folders in these, or a class."""
    train = next(child / name for name in names.values() if role_of(name) == "train")
    held = _names([child / name for name in names.values()])
    if subfolders(train):
        return DataError(
            f"{shown(root)}: {shown(child.name)}/ holds {held}: splits of its own",
            f"give the one that is meant: --data {quote(str(child))}",
        )
    return DataError(
        f"{shown(root)}: {shown(child.name)}/ holds {held}: splits within a class",
        "the other way round: train/CLASS/, test/CLASS/; or give a table image,label,split (.csv)",
    )


def _held(child: Path) -> dict[str, str]:
    """The folders in it, however many single ones lie around them: by a name that does not change
    with the case of letters. Empty where more images lie beside them."""
    inner = subfolders(child)
    if not inner or images_in(child) > len(inner):
        return {}
    if len(inner) == 1 and (deeper := _held(inner[0])):
        return deeper
    return {class_name(folder.name).casefold(): folder.name for folder in inner}


# Class folders that lie deeper -------------------------------------------------------------------


def no_classes(root: Path, what: str, fix: str) -> KdError:
    """The error of a folder without class folders: where these lie deeper, that is the way out."""
    for place in _levels(root):
        if place == root:
            continue
        classes = [folder for folder in subfolders(place) if images_in(folder)]
        if len(classes) > 1:
            given = place
            while role_of(given.name) and given.parent != root:  # all splits, not one of them
                given = given.parent
            return UsageError(
                f"{what}; class folders lie in {shown(place)} ({some(map(_plain, classes), 4)})",
                f"give the folder that holds them: --data {quote(str(given))}",
            )
    return DataError(what, fix)


def _plain(folder: Path) -> str:
    return shown(folder.name)


def _levels(root: Path) -> list[Path]:
    """It and the folders below it, the nearest first."""
    level, found = [root], [root]
    for _ in range(DEPTH):
        level = [child for place in level for child in subfolders(place)]
        found += level
    return found
