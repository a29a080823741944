"""Labels of other tasks than classification, told apart from class names with care."""

import re
from collections import Counter
from pathlib import Path

from kdcli.data.table_columns import Rows
from kdcli.errors import DataError
from kdcli.files import shown

MOSTLY = 0.5
"""Share of the labels that are all different, from which numbers are measurements."""

_LIST = re.compile(r"\[.+,.+\]|[({]\s*['\"].+,.+[)}]")
"""A cell such as ['Hemd', 'Hose']."""


def refuse_other_labels(path: Path, rows: Rows) -> None:
    """Raise DataError for several labels in a cell, and for numbers to be predicted."""
    _refuse_several(path, rows)
    _refuse_measurements(path, rows)


def _refuse_several(path: Path, rows: Rows) -> None:
    several = _several({cells["label"] for _, cells in rows})
    for line, cells in rows:
        if cells["label"] in several:
            raise DataError(
                f"{path}:{line}: not for kd: several labels per image ('{shown(cells['label'])}')",
                "kd takes one label per image: keep one of them",
            )


def _several(labels: set[str]) -> set[str]:
    """Lists; joined by signs, where a part stands in another cell too, for a class may be called
    "AC|DC"; joined by commas, as names often are, only where every part is a label itself."""
    joined = {label: _parts(label, "[;|]") for label in labels}
    seen = Counter(part for parts in joined.values() for part in set(parts))
    signs = {a for a, ps in joined.items() if len(ps) > 1 and any(seen[part] > 1 for part in ps)}
    commas = {a for a in labels if len(ps := _parts(a, ",")) > 1 and labels.issuperset(ps)}
    return signs | commas | {label for label in labels if _LIST.fullmatch(label)}


def _parts(label: str, signs: str) -> list[str]:
    found = [part.strip() for part in re.split(signs, label)]
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
