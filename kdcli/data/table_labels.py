"""Labels of other tasks than classification, told apart from class names with care."""

import re
from collections import Counter
from pathlib import Path

from kdcli.data.table_columns import Rows
from kdcli.errors import DataError
from kdcli.files import shown

MOSTLY = 0.5
"""Share of the labels that are all different, from which numbers are measurements."""


def refuse_other_labels(path: Path, rows: Rows) -> None:
    """Raise DataError for several labels in a cell, and for numbers to be predicted."""
    _refuse_several(path, rows)
    _refuse_measurements(path, rows)


def _refuse_several(path: Path, rows: Rows) -> None:
    """A class may be called "AC|DC"; parts that stand in other cells too are labels."""
    parts = {label: _parts(label) for label in {cells["label"] for _, cells in rows}}
    seen = Counter(part for found in parts.values() for part in set(found))
    for line, cells in rows:
        found = parts[cells["label"]]
        if len(found) > 1 and any(seen[part] > 1 for part in found):
            raise DataError(
                f"{path}:{line}: not for kd: several labels per image ('{shown(cells['label'])}')",
                "kd takes one label per image: keep one of them",
            )


def _parts(label: str) -> list[str]:
    found = [part.strip() for part in re.split(r"[;|]", label)]
    return found if all(found) else [label]


def _refuse_measurements(path: Path, rows: Rows) -> None:
    labels = [cells["label"] for _, cells in rows if cells["label"]]
    if not labels or not all(map(_is_number, labels)):
        return
    broken = [label for label in labels if not float(label).is_integer()]
    if 2 * len(broken) > len(labels) and len(set(labels)) > MOSTLY * len(labels):
        raise DataError(
            f"{path}: not for kd: regression (labels are numbers such as {broken[0]}, "
            f"{len(set(labels)):,} different ones in {len(labels):,} rows)",
            "kd tells classes apart: put the numbers into a few ranges and name those",
        )


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
