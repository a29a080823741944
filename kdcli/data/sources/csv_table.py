"""A table of images: a CSV file with the columns image, label and, if there is one, split."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import class_name, did_you_mean, shown, some
from kdcli.data.class_list import are_whole, class_list, in_order, one_number, order_digest
from kdcli.data.defaults import defaults_of
from kdcli.data.readers import digest_of, open_splits
from kdcli.data.source import NewImages, Source
from kdcli.data.sources.csv_columns import read_rows, refuse_other_labels
from kdcli.data.splits import ROLES, absent_classes, complete, role_of, with_test_set

ORDER = ("train", "validation", "test")
"""In which splits are read and told, whatever comes first in the file."""


@dataclass(frozen=True)
class Row:
    """One image of the table."""

    line: int
    """Of the file, from 1; the last one of a row that spans several."""
    image: str
    """Posix path relative to the table's folder, or an absolute one."""
    label: str
    role: str
    """train, validation or test."""
    spelled: str = ""
    """The label as stored; `label` is normalised."""


def open_table(path: Path, progress: Progress | None = None) -> Source:
    """The images that a CSV file lists; paths in it are relative to its own folder.

    Splits that it does not name are taken out of train, as for folders. Raises DataError, naming
    file and lines, for whatever makes no classification task.

    Identity is of images, labels and splits, in no order, and of the order of the classes: a table
    that is sorted anew, or has another column, is the same data.
    """
    progress = progress or Silent()
    raw, notes = read_rows(path)
    refuse_other_labels(path, raw)
    rows, repeated = _once(path, [_row(path, line, cells) for line, cells in raw])
    _refuse_absent(path, rows)
    by_role = {role: found for role in ORDER if (found := [r for r in rows if r.role == role])}
    if "train" not in by_role:
        raise DataError(f"{path}: no image is in split train", "mark the training images train")
    assigned, moved = with_test_set(by_role)
    classes = _classes(path, assigned)
    listed = {role: _listed(rows, classes) for role, rows in assigned.items()}
    given = open_splits(path.parent, listed, progress)
    notes += (f"{repeated:,} rows repeat an earlier one: ignored",) if repeated else ()
    notes += ("no split test: validation is the test set",) if moved else ()
    return complete(
        given,
        name=path.stem,
        where=str(path),
        classes=classes,
        identity={
            "kind": "table",
            "files": digest_of(given, classes),
            "classes": order_digest(classes),
        },
        defaults=defaults_of(given["train"]),
        notes=notes + one_number(classes) + absent_classes(given, classes),
    )


def open_new_table(path: Path, progress: Progress | None = None) -> NewImages:
    """Its rows of split test, else of validation; all of them where it names no split.

    Raises DataError, naming file and lines, for rows that are no labelled images.
    """
    raw, notes = read_rows(path)
    refuse_other_labels(path, raw)
    rows, _ = _once(path, [_row(path, line, cells) for line, cells in raw])
    _refuse_absent(path, rows)
    by_role = {role: found for role in ORDER if (found := [r for r in rows if r.role == role])}
    named = any("split" in cells for _, cells in raw)
    assigned, moved = with_test_set(by_role) if named else ({"test": rows}, False)
    if not assigned.get("test"):
        raise DataError(f"{path}: no image is in split test", "mark those to measure on test")
    measured = assigned["test"]
    classes = class_list(in_order(row.spelled for row in measured)).names
    split = open_splits(path.parent, {"test": _listed(measured, classes)}, progress or Silent())
    said = "its split test is measured" if named else "no splits in it: all rows are measured"
    said = "no split test: its split validation is measured" if moved else said
    return NewImages(path.stem, classes, split["test"], (*notes, said))


def _row(path: Path, line: int, cells: dict[str, str]) -> Row:
    image, spelled = cells["image"], cells["label"]
    label = class_name(spelled)
    if not image or not label:
        raise DataError(
            f"{path}:{line}: no {'image' if not image else 'label'}",
            "fill it in, or take the row out",
        )
    word = cells.get("split", "train")
    role = role_of(word)
    if role is None:
        raise DataError(
            f"{path}:{line}: unknown split '{shown(word)}'{did_you_mean(word.lower(), ROLES)}",
            f"a split is one of {', '.join(ROLES)}; without the column, kd divides the images",
        )
    # as Windows writes it; elsewhere a name may have a backslash in it, if hardly ever
    if "\\" in image and not (path.parent / image).exists():
        image = image.replace("\\", "/")
    # ./a.png and a.png are one image, and on Windows backslashes become slashes
    place = Path(os.path.normpath(image)).as_posix()
    return Row(line, place, label, role, spelled)


def _once(path: Path, rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Each image once, and how many rows said the same again; raises DataError for others."""
    first: dict[str, Row] = {}
    for row in rows:
        before = first.setdefault(row.image, row)
        where = f"{path}:{row.line}: {shown(row.image)}"
        if before.label != row.label:
            raise DataError(
                f"{where} is '{shown(row.label)}' here and '{shown(before.label)}' in line "
                f"{before.line}: not for kd: several labels per image",
                "kd takes one label per image: keep one of them",
            )
        if before.role != row.role:
            raise DataError(
                f"{where} is in {row.role} here and in {before.role} in line {before.line}",
                "give each image one split: what was trained on tests nothing",
            )
    return list(first.values()), len(rows) - len(first)


def _refuse_absent(path: Path, rows: Sequence[Row]) -> None:
    absent = [row for row in rows if not (path.parent / row.image).is_file()]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        share = f"{len(absent):,} of {len(rows):,} images {verb} not there"
        raise DataError(
            f"{path}: {share}: {_named(absent, lambda row: shown(row.image))}",
            f"paths are relative to {path.resolve().parent}, or absolute",
        )


def _named(rows: Sequence[Row], name: Callable[[Row], str]) -> str:
    return some(f"{name(row)} (line {row.line})" for row in rows)


def _classes(path: Path, rows: dict[str, list[Row]]) -> tuple[str, ...]:
    """The labels of train, in their order (`class_list.in_order`)."""
    known = {row.label for row in rows["train"]}
    for role, others in rows.items():
        strange = [row for row in others if row.label not in known]
        if strange:
            # "did you mean 7?" for an 8 says nothing
            near = "" if are_whole(known) else did_you_mean(strange[0].label, known)
            raise DataError(
                f"{path}: labels that no image of train has, in {role}: "
                f"{_named(strange, lambda row: shown(row.label))}{near}",
                "a class needs training images; write its name the same way in every row",
            )
    if len(known) < 2:
        raise DataError(
            f"{path}: one class only ({shown(next(iter(known)))})",
            "a classifier needs two classes or more",
        )
    return class_list(in_order(row.spelled for row in rows["train"])).names


def _listed(rows: Sequence[Row], classes: tuple[str, ...]) -> tuple[list[str], Indices]:
    """In the order of the images' names: sorting the table changes nothing."""
    rows = sorted(rows, key=lambda row: row.image)
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[row.label] for row in rows], dtype=np.int64)
    return [row.image for row in rows], labels
