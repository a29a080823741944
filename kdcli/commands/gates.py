"""`--min KEY=VALUE` and `--max KEY=VALUE`: limits on any number of the report."""

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from kdcli.commands.report import Export, Report
from kdcli.errors import GateMissed, UsageError, did_you_mean

_ROLES = ("teacher", "student", "baseline")


@dataclass(frozen=True)
class Gate:
    """One limit; `key` is the number's full path in the report."""

    kind: Literal["min", "max"]
    key: str
    limit: float


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


def parse_gates(minima: tuple[str, ...], maxima: tuple[str, ...]) -> tuple[Gate, ...]:
    """Gates from `--min` and `--max`, before anything runs.

    Raises:
        UsageError: a key that no report has, or a value that is no number.
    """
    known = sorted(numeric_keys())
    return tuple(
        _parse(kind, text, known)
        for kind, texts in (("min", minima), ("max", maxima))
        for text in texts
    )


def _parse(kind: Any, text: str, known: list[str]) -> Gate:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals:
        raise UsageError(
            f"--{kind} {text}: expects KEY=VALUE", f"as in --{kind} student.accuracy=0.95"
        )
    full = next((k for k in (key, f"models.{key}") if _general(k) in known), None)
    if full is None:
        short = [k.removeprefix("models.") for k in known]
        raise UsageError(
            f"--{kind} {key}: no number of the report{did_you_mean(key, short)}",
            "every key is listed in docs/report.md",
        )
    with contextlib.suppress(ValueError):
        if math.isfinite(limit := float(value)):
            return Gate(kind, full, limit)
    raise UsageError(f"--{kind} {key}: '{value}' is no number")


def check_gates(gates: tuple[Gate, ...], report: Report) -> list[Checked]:
    """Each gate with the value it met."""
    raw = report.as_dict()
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
    return GateMissed(f"{len(lines)} of {len(checked)} gates missed: {'; '.join(lines)}")


def numeric_keys() -> set[str]:
    """Paths of all numbers that a report can hold; entries of `exports` under `exports.0`."""
    return set(_numbers(Report, ""))


def _numbers(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        yield from _numbers_of(field.annotation, key)


def _numbers_of(annotation: Any, key: str) -> Iterator[str]:
    kinds = [annotation, *get_args(annotation)]
    if key == "models":
        part = kinds[-1]
        for role in _ROLES:
            yield from _numbers(part, f"models.{role}.")
        return
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _numbers(kind, f"{key}.")
        elif kind in (int, float):
            yield key
        elif Export in get_args(kind):
            yield from _numbers(Export, f"{key}.0.")


def _general(key: str) -> str:
    """`exports.3.bytes` -> `exports.0.bytes`."""
    return re.sub(r"\.\d+\.", ".0.", key)


def _value(raw: Any, key: str) -> float | None:
    for step in key.split("."):
        if isinstance(raw, list):
            raw = raw[int(step)] if int(step) < len(raw) else None
        else:
            raw = raw.get(step) if isinstance(raw, dict) else None
    return float(raw) if isinstance(raw, int | float) else None
