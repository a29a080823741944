"""Where exported files lie, what those of one export are called, and which is *the* file."""

from pathlib import Path, PurePath
from typing import TypeVar, get_args

from kdcli.commands.report import Export, Precision, Report

AnyPath = TypeVar("AnyPath", bound=PurePath)


def named(path: AnyPath, precision: Precision) -> AnyPath:
    """The family of `model.onnx`: itself, `model.int8.onnx`, `model.fp16.onnx`."""
    return path if precision == "fp32" else path.with_suffix(f".{precision}{path.suffix}")


def smaller(path: AnyPath) -> dict[Precision, AnyPath]:
    """The family without the fp32 file itself."""
    return {one: named(path, one) for one in get_args(Precision) if one != "fp32"}


def listed(path: Path, folder: Path) -> str:
    """As the report lists it: relative where it lies in the run's folder, else absolute."""
    place = path.parent.resolve() / path.name  # a link there is replaced, not followed
    inside = place.is_relative_to(folder.resolve())
    return place.relative_to(folder.resolve()).as_posix() if inside else str(place)


def place_of(export: Export, folder: Path) -> Path:
    """Where a file lies that the report in `folder` lists."""
    return folder / export.path


def main_index(report: Report) -> int | None:
    """Of the fp32 file in the run's own folder, the last that the record lists; where all were
    written elsewhere, of the last of those. None: nothing was exported."""
    fp32 = [i for i, one in enumerate(report.exports or []) if one.precision == "fp32"]
    own = [i for i in fp32 if not Path((report.exports or [])[i].path).is_absolute()]
    return next(reversed(own or fp32), None)


def main_export(report: Report) -> Export | None:
    """What is meant by "the file" of a model."""
    index = main_index(report)
    return None if index is None or report.exports is None else report.exports[index]


def replaced(known: list[Export], written: list[Export]) -> list[Export]:
    """The record's list with a family written anew, fp32 first, in the slot of its fp32 entry.

    Its files that were not written again are gone: they were made from an earlier fp32 file.
    """
    first = PurePath(written[0].path)
    gone = {(str(place), precision) for precision, place in smaller(first).items()}
    paths = {one.path for one in written}
    family = [i for i, one in enumerate(known) if one.path in paths or _key(one) in gone]
    slot = next((i for i, one in enumerate(known) if one.path == written[0].path), None)
    if slot is None:
        slot = family[0] if family else len(known)
    before, after = (
        [one for i, one in enumerate(known) if i not in family and (i < slot) is early]
        for early in (True, False)
    )
    return [*before, *written, *after]


def _key(export: Export) -> tuple[str, Precision]:
    return str(PurePath(export.path)), export.precision
