"""The rows of a CSV file, once its columns are known to be those of a table of images."""

import csv
import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kdcli.core.errors import DataError
from kdcli.core.text import shown, some

COLUMNS = ("image", "label", "split")
NEEDED = COLUMNS[:2]
FORM = "the first line says image,label or image,label,split; one row for each image"

Rows = list[tuple[int, dict[str, str]]]
"""Line numbers, and the cells by column; stripped."""

_ALSO = {
    "image": ("file", "filename", "file_name", "filepath", "path", "image_path", "img", "name"),
    "label": ("class", "class_name", "classname", "category", "target", "labels", "y"),
}
"""What others call the columns; for the hint."""


def read_rows(path: Path) -> tuple[Rows, tuple[str, ...]]:
    """The rows of the file and what is to be said of them.

    Separated by commas, semicolons or tabs; UTF-8, with or without a byte order mark; capital
    letters in the first line do not matter. Raises DataError, naming file and line.

    Other encodings are refused rather than guessed: read as Latin-1, any bytes make labels.
    """
    try:
        # utf-8-sig, as Excel writes a mark; newline="", as csv wants to see quoted ones itself
        with path.open(encoding="utf-8-sig", newline="") as stream:
            # the first line holds names alone, so whatever stands there most separates them; a
            # sniffer that looks at the rows is led astray by commas in labels
            head = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(",;\t", key=head.count), strict=True)
            return _parsed(path, ((reader.line_num, cells) for cells in reader))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start:,})",
            "save it as CSV in UTF-8",
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error})", FORM) from error
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _parsed(path: Path, lines: Iterator[tuple[int, list[str]]]) -> tuple[Rows, tuple[str, ...]]:
    _, heads = next(lines, (0, []))
    names = [head.strip().lower() for head in heads]
    raw = [(line, [cell.strip() for cell in cells]) for line, cells in lines if any(cells)]
    _refuse_columns(path, names, raw)
    for line, cells in raw:
        if len(cells) != len(names):
            raise DataError(
                f"{path}:{line}: {len(cells)} cells, {len(names)} columns",
                'put a name with a comma in it into quotes: "a, b.png"',
            )
    if not raw:
        raise DataError(f"{path}: no rows", FORM)
    hot = [] if "label" in names else _hot(names, [cells for _, cells in raw])
    places = [names.index(name) for name in hot]
    others = [
        shown(head.strip())
        for name, head in zip(names, heads, strict=True)
        if name not in (*COLUMNS, *hot)
    ]
    said = (f"columns ignored: {', '.join(others)}",) if others else ()
    if not hot:
        return [(line, dict(zip(names, cells, strict=True))) for line, cells in raw], said
    rows = [
        (line, dict(zip(names, cells, strict=True)) | {"label": heads[_hottest(cells, places)]})
        for line, cells in raw
    ]
    titles = some(shown(heads[place].strip()) for place in places)
    return rows, (f"labels: of columns {titles}, the one with a 1", *said)


def _refuse_columns(path: Path, names: list[str], raw: list[tuple[int, list[str]]]) -> None:
    for name in COLUMNS:
        if names.count(name) > 1:
            raise DataError(f"{path}: column '{name}' stands there twice", FORM)
    missing = [name for name in NEEDED if name not in names]
    if not missing:
        return
    # before "no column 'label'", which would send somebody to rename one of twenty columns
    if missing == ["label"] and (hot := _hot(names, [cells for _, cells in raw])):
        places = [names.index(name) for name in hot]
        ones = [sum(_IS_ONE[cells[i]] for i in places) for _, cells in raw]
        if max(ones) == 1:
            if 0 in ones:
                line = raw[ones.index(0)][0]
                raise DataError(
                    f"{path}:{line}: no label: none of its columns of 0 and 1 has a 1",
                    "fill it in, or take the row out",
                )
            return
        raise DataError(
            f"{path}: not for kd: several labels per image (columns of 0 and 1: "
            f"{', '.join(map(shown, hot[:5]))}{', ...' if len(hot) > 5 else ''})",
            "kd takes one label per image: write its name into one column 'label'",
        )
    there = ", ".join(f"'{shown(name)}'" for name in names) or "none"
    raise DataError(
        f"{path}: no column '{missing[0]}' (there: {there}){_hint(missing[0], names)}", FORM
    )


def _hint(missing: str, names: list[str]) -> str:
    others = [name for name in names if name not in COLUMNS]
    aliases = [name for name in _ALSO[missing] if name in others]
    near = [*aliases, *difflib.get_close_matches(missing, others, n=1)]
    return f"; is it '{shown(near[0])}'? Then call it '{missing}'" if near else ""


def _hot(names: list[str], rows: Sequence[list[str]]) -> list[str]:
    """Columns, two or more, of nothing but 0 and 1."""
    columns = [
        name
        for i, name in enumerate(names)
        if name not in COLUMNS and rows and all(set(r[i : i + 1]) & _IS_ONE.keys() for r in rows)
    ]
    return columns if len(columns) > 1 else []


def _hottest(cells: list[str], places: list[int]) -> int:
    return next(i for i in places if _IS_ONE[cells[i]])


_IS_ONE = dict.fromkeys(("0", "0.0", "False"), False) | dict.fromkeys(("1", "1.0", "True"), True)
"""As NumPy and pandas write one-hot columns."""


MOSTLY = 0.5
"""Share of the labels that are all different, from which numbers are measurements. Whole numbers
never are, and a few fractions (0.5, 1.5) are names of classes."""


_LIST = re.compile(r"\[.+,.+\]|[({]\s*['\"].+,.+[)}]")
"""A cell such as ['Hemd', 'Hose']."""


def refuse_other_labels(path: Path, rows: Rows) -> None:
    """Raise DataError for several labels in a cell, and for numbers to be predicted.

    Each would else be trained as classes of its own, hundreds of them, without a complaint.
    """
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
    # most have a fraction, and hardly two are alike
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
