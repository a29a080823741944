"""Every number of a report by its key: `student.accuracy`, `comparison.gain_ci95.low`."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from kdcli.core.text import did_you_mean
from kdcli.report.model import Unit
from kdcli.report.schema import Report

_ROLES = (
    *("teacher", "ensemble", "assistant", "assistant_1", "generation_1", "student", "baseline"),
    *("generations", "peers", "peer_1", "exit_1", "fused"),
)
"""`assistant_1` stands for every numbered one, and so do `generation_1`, `peer_1` and `exit_1`."""
CLASS = "CLASS"
"""Stands for the name of a class in keys such as `models.student.recall.CLASS`."""


def numeric_keys() -> set[str]:
    """Paths of all numbers that a report can hold.

    Entries of lists stand under 0 (`exports.0`, `exports.0.measured.0`, `teachers.0`); the name of
    a class is CLASS.
    """
    return set(units())


def units() -> dict[str, Unit]:
    """The same, sorted, each with what it can be."""
    return dict(sorted(_numbers(Report, "", None)))


def _numbers(model: type[BaseModel], path: str, unit: Unit | None) -> Iterator[tuple[str, Unit]]:
    """`unit` is that of a whole part, such as an interval of shares."""
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        yield from _numbers_of(field.annotation, key, _unit(field.metadata) or unit)


def _numbers_of(annotation: Any, key: str, unit: Unit | None) -> Iterator[tuple[str, Unit]]:
    if get_origin(annotation) is Annotated:
        annotation, *marks = get_args(annotation)
        yield from _numbers_of(annotation, key, _unit(marks) or unit)
        return
    if get_origin(annotation) is list:
        (annotation,), key = get_args(annotation), f"{key}.0"
    kinds = [annotation, *get_args(annotation)]
    if key == "models":
        part = kinds[-1]
        for role in _ROLES:
            yield from _numbers(part, f"models.{role}.", unit)
        return
    for kind in kinds:
        if get_origin(kind) is dict:
            yield from _numbers_of(get_args(kind)[1], f"{key}.{CLASS}", unit)
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _numbers(kind, f"{key}.", unit)
        elif kind in (int, float):
            yield key, unit or Unit.AMOUNT
        elif get_origin(kind) in (list, Annotated):
            yield from _numbers_of(kind, key, unit)


def _unit(marks: Iterable[Any]) -> Unit | None:
    return next((mark for mark in marks if isinstance(mark, Unit)), None)


def value_at(raw: Any, key: str) -> float | None:
    """The number at a path; the name of a class may hold dots, so every reading is tried."""
    if not key:
        return float(raw) if isinstance(raw, int | float) else None
    if isinstance(raw, list):
        first, _, rest = key.partition(".")
        return value_at(raw[int(first)], rest) if int(first) < len(raw) else None
    if not isinstance(raw, dict):
        return None
    steps = [step for step in raw if f"{key}.".startswith(f"{step}.")]
    found = (value_at(raw[step], key[len(step) + 1 :]) for step in steps)
    return next((value for value in found if value is not None), None)


def _for_role(key: str, pattern: str) -> str:
    """The pattern of `assistant_1` as that of the assistant that a key names; of any such role."""
    named = re.match(r"models\.([a-z]+)_\d+\.", key)
    return pattern.replace(f"models.{named[1]}_1.", named[0]) if named else pattern


def _fits(key: str, pattern: str) -> bool:
    """Whether a key is one of those that a pattern stands for: any class, any entry of a list."""
    before, found, behind = pattern.partition(CLASS)
    if not found:
        return re.sub(r"\.\d+\.", ".0.", key) == pattern
    room = len(key) > len(before) + len(behind)
    return room and key.startswith(before) and key.endswith(behind)


def find_key(key: str, known: dict[str, Unit]) -> tuple[str, str, Unit] | None:
    """Of a key as it is typed (`models.` may be left out): its full path, the pattern with CLASS in
    the place of a class's name, what its number can be; None: there is none.
    """
    keys = [(k, _for_role(k, p), p) for k in (key, f"models.{key}") for p in known]
    found = next((one for one in keys if _fits(*one[:2])), None)
    return (found[0], found[1], known[found[2]]) if found else None


def meant_key(key: str, known: Iterable[str]) -> str:
    """A key that was cut short has its beginning missing: `accuracy` is the student's."""
    short = [k.removeprefix("models.") for k in known]
    words = dict.fromkeys(word for k in short for word in k.split("."))
    near = key if key in words else next(iter(get_close_matches(key, words, 1, 0.8)), "")
    whole = [k for k in short if near and f".{near}." in f".{k}."]
    first = [k for part in ("student.", "comparison.") for k in whole if k.startswith(part)]
    if meant := first or whole:
        return f"; did you mean '{min(meant, key=len)}'?"
    return did_you_mean(key, short)
