"""`--min KEY=VALUE` and `--max KEY=VALUE`: limits on any number of the report."""

import contextlib
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from kdcli.core.errors import GateMissed, UsageError
from kdcli.core.text import counted, did_you_mean
from kdcli.report.schema import Report

_ROLES = (
    *("teacher", "ensemble", "assistant", "assistant_1", "generation_1", "student", "baseline"),
    *("generations", "peers", "peer_1", "exit_1", "fused"),
)
"""`assistant_1` stands for every numbered one, and so do `generation_1`, `peer_1` and `exit_1`."""
CLASS = "CLASS"
"""Stands for the name of a class in keys such as `models.student.recall.CLASS`."""


@dataclass(frozen=True)
class Gate:
    """One limit; `key` is the number's full path in the report."""

    kind: Literal["min", "max"]
    key: str
    limit: float
    pattern: str = ""
    """The key with CLASS in the name's place, where it names a class."""

    @property
    def named(self) -> str | None:
        """The class that it names."""
        before, found, behind = self.pattern.partition(CLASS)
        return self.key[len(before) : len(self.key) - len(behind)] if found else None


@dataclass(frozen=True)
class Checked:
    """A gate held against a report; a value of None is missed."""

    gate: Gate
    value: float | None

    @property
    def passed(self) -> bool:
        if self.value is None:
            return False
        limit = self.gate.limit
        return self.value >= limit if self.gate.kind == "min" else self.value <= limit

    def as_dict(self) -> dict[str, Any]:
        gate = self.gate
        return {
            "gate": f"{gate.kind} {gate.key}",
            "limit": gate.limit,
            "value": self.value,
            "passed": self.passed,
        }


def parse_gates(minima: Sequence[str] | None, maxima: Sequence[str] | None) -> tuple[Gate, ...]:
    """Gates from `--min` and `--max`, None where there are none, before anything runs.

    Raises:
        UsageError: a key that no report has, or a value that is no number.
    """
    known = sorted(numeric_keys())
    return tuple(
        _parse(kind, text, known)
        for kind, texts in (("min", minima), ("max", maxima))
        for text in texts or ()
    )


def _parse(kind: Any, text: str, known: list[str]) -> Gate:
    key, equals, value = text.rpartition("=")  # the name of a class may hold another
    key = key.strip()
    if not equals:
        raise UsageError(
            f"--{kind} {text}: expects KEY=VALUE", f"as in --{kind} student.accuracy=0.95"
        )
    keys = [(k, _for_role(k, p)) for k in (key, f"models.{key}") for p in known]
    found = next(((k, p) for k, p in keys if _fits(k, p)), None)
    if found is None:
        short = [k.removeprefix("models.") for k in known]
        raise UsageError(
            f"--{kind} {key}: no number of the report{did_you_mean(key, short)}",
            "every key is listed in docs/report.md",
        )
    full, pattern = found
    with contextlib.suppress(ValueError):
        if math.isfinite(limit := float(value)):
            return Gate(kind, full, limit, pattern if CLASS in pattern else "")
    raise UsageError(f"--{kind} {key}: '{value}' is no number")


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


def for_classes(gates: Iterable[Gate], classes: tuple[str, ...]) -> tuple[Gate, ...]:
    """The gates once the data's classes are known, before anything is measured.

    Umlauts may be written in one character or in two, as file systems differ.

    Raises:
        UsageError: a gate names a class that the data do not have.
    """
    return tuple(_for_classes(gate, classes) for gate in gates)


def _for_classes(gate: Gate, classes: tuple[str, ...]) -> Gate:
    name = gate.named
    if name is None or name in classes:
        return gate
    for known in classes:
        if _composed(known) == _composed(name):
            return replace(gate, key=gate.pattern.replace(CLASS, known))
    shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise UsageError(
        f"--{gate.kind} {gate.key.removeprefix('models.')}: no class '{name}' in the data"
        f"{did_you_mean(name, classes)}",
        f"the {len(classes)} classes: {shown}",
    )


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def check_gates(gates: tuple[Gate, ...], report: Report) -> list[Checked]:
    """Each gate with the value it met; where no class lost anything, the largest drop is 0."""
    raw = report.as_dict()
    c = report.comparison
    looked = c and c.balanced_gain is not None and c.accuracy_drop is not None  # for a class
    if c and looked and c.class_lost_most is None:
        raw["comparison"]["class_lost_most"] = {"drop": 0.0}
    return [Checked(gate, _value(raw, gate.key)) for gate in gates]


def missed(checked: list[Checked]) -> GateMissed | None:
    """The error for those that were missed; None where all were met."""
    lines = [
        f"{c.gate.key} is {'null' if c.value is None else format(c.value, '.6g')}, "
        f"{'at least' if c.gate.kind == 'min' else 'at most'} {c.gate.limit:g} was asked for"
        for c in checked
        if not c.passed
    ]
    if not lines:
        return None
    return GateMissed(f"{len(lines)} of {counted(len(checked), 'gate')} missed: {'; '.join(lines)}")


def numeric_keys() -> set[str]:
    """Paths of all numbers that a report can hold.

    Entries of lists stand under 0 (`exports.0`, `exports.0.measured.0`, `teachers.0`); the name of
    a class is CLASS.
    """
    return set(_numbers(Report, ""))


def _numbers(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        yield from _numbers_of(field.annotation, key)


def _numbers_of(annotation: Any, key: str) -> Iterator[str]:
    if get_origin(annotation) is list:
        (annotation,), key = get_args(annotation), f"{key}.0"
    kinds = [annotation, *get_args(annotation)]
    if key == "models":
        part = kinds[-1]
        for role in _ROLES:
            yield from _numbers(part, f"models.{role}.")
        return
    for kind in kinds:
        if get_origin(kind) is dict:
            yield from _numbers_of(get_args(kind)[1], f"{key}.{CLASS}")
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _numbers(kind, f"{key}.")
        elif kind in (int, float):
            yield key
        elif get_origin(kind) is list:
            yield from _numbers_of(kind, key)


def _value(raw: Any, key: str) -> float | None:
    """The number at a path; the name of a class may hold dots, so every reading is tried."""
    if not key:
        return float(raw) if isinstance(raw, int | float) else None
    if isinstance(raw, list):
        first, _, rest = key.partition(".")
        return _value(raw[int(first)], rest) if int(first) < len(raw) else None
    if not isinstance(raw, dict):
        return None
    steps = [step for step in raw if f"{key}.".startswith(f"{step}.")]
    found = (_value(raw[step], key[len(step) + 1 :]) for step in steps)
    return next((value for value in found if value is not None), None)
