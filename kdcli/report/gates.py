"""`--min KEY=VALUE` and `--max KEY=VALUE`: limits on any number of the report."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from kdcli.core.errors import GateMissed, UsageError
from kdcli.core.text import class_name, counted, did_you_mean
from kdcli.report.model import Unit
from kdcli.report.null_reasons import why_null
from kdcli.report.schema import Report

_ROLES = (
    *("teacher", "ensemble", "assistant", "assistant_1", "generation_1", "student", "baseline"),
    *("generations", "peers", "peer_1", "exit_1", "fused"),
)
"""`assistant_1` stands for every numbered one, and so do `generation_1`, `peer_1` and `exit_1`."""
CLASS = "CLASS"
"""Stands for the name of a class in keys such as `models.student.recall.CLASS`."""


FEW_IMAGES = 30
"""Of a class: on fewer, a single one moves its recall by more than three points."""


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
    why: str = ""
    """It is None."""
    images: int | None = None
    """Test images of the class whose recall it is."""

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
        } | ({"why": self.why} if self.value is None else {})

    @property
    def outcome(self) -> str:
        """`passed`, `MISSED`; `passed (on 2 images)` where a class has so few."""
        few = self.images is not None and self.images < FEW_IMAGES
        on = f" (on {counted(self.images or 0, 'image')})" if few else ""
        return ("passed" if self.passed else "MISSED") + on

    @property
    def shown(self) -> str:
        """The value, or why there is none."""
        return f"null: {self.why}" if self.value is None else format(self.value, ".6g")


def parse_gates(minima: Sequence[str] | None, maxima: Sequence[str] | None) -> tuple[Gate, ...]:
    """Gates from `--min` and `--max`, None where there are none, before anything runs.

    Raises:
        UsageError: a key that no report has, or a value that is no number.
    """
    known = units()
    return tuple(
        _parse(kind, text, known)
        for kind, texts in (("min", minima), ("max", maxima))
        for text in texts or ()
    )


def _parse(kind: Any, text: str, known: dict[str, Unit]) -> Gate:
    key, equals, value = text.rpartition("=")  # the name of a class may hold another
    key = key.strip()
    if not equals:
        raise UsageError(
            f"--{kind} {text}: expects KEY=VALUE", f"as in --{kind} student.accuracy=0.95"
        )
    keys = [(k, _for_role(k, p), p) for k in (key, f"models.{key}") for p in known]
    found = next((one for one in keys if _fits(*one[:2])), None)
    if found is None:
        raise UsageError(
            f"--{kind} {key}: no number of the report{_meant(key, known)}",
            "every key is listed in docs/report.md",
        )
    full, pattern, listed = found
    limit = _limit(f"--{kind} {key}", value.strip(), known[listed])
    return Gate(kind, full, limit, pattern if CLASS in pattern else "")


def _meant(key: str, known: Iterable[str]) -> str:
    """A key that was cut short has its beginning missing: `accuracy` is the student's."""
    short = [k.removeprefix("models.") for k in known]
    words = dict.fromkeys(word for k in short for word in k.split("."))
    near = key if key in words else next(iter(get_close_matches(key, words, 1, 0.8)), "")
    whole = [k for k in short if near and f".{near}." in f".{k}."]
    first = [k for part in ("student.", "comparison.") for k in whole if k.startswith(part)]
    if meant := first or whole:
        return f"; did you mean '{min(meant, key=len)}'?"
    return did_you_mean(key, short)


def _limit(flag: str, text: str, unit: Unit) -> float:
    """The number of `=0.95` or `=95%`, where one of this unit can be on either side of it."""
    number = text.removesuffix("%").strip()
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise UsageError(f"{flag}: '{text}' is no number", "as in =0.95, =95% or =1e6")
    if text != number:
        if unit is Unit.AMOUNT:
            raise UsageError(f"{flag}={text}: an amount, no fraction", f"{flag}=NUMBER without %")
        limit /= 100
    low, high = {Unit.SHARE: (0, 1), Unit.AMOUNT: (0, math.inf)}.get(unit, (-math.inf, math.inf))
    fits = abs(limit) < 1 if unit is Unit.CHANGE else low <= limit <= high
    if not fits:
        as_percent = unit is not Unit.AMOUNT and text == number and low <= limit / 100 <= 1
        meant = f"{flag}={limit / 100:g}, or ={number}%" if as_percent else ""
        raise UsageError(f"{flag}={text}: it is {unit.value}", meant)
    return limit


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
        if class_name(known) == class_name(name):
            return replace(gate, key=gate.pattern.replace(CLASS, known))
    shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise UsageError(
        f"--{gate.kind} {gate.key.removeprefix('models.')}: no class '{name}' in the data"
        f"{did_you_mean(name, classes)}",
        f"the {len(classes)} classes: {shown}",
    )


def check_gates(gates: tuple[Gate, ...], report: Report) -> list[Checked]:
    """Each gate with the value it met; where no class lost anything, the largest drop is 0."""
    raw = report.as_dict()
    c = report.comparison
    looked = c and c.balanced_gain is not None and c.accuracy_drop is not None  # for a class
    if c and looked and c.class_lost_most is None:
        raw["comparison"]["class_lost_most"] = {"drop": 0.0}
    found = ((gate, _value(raw, gate.key)) for gate in gates)
    return [
        Checked(g, value, "" if value is not None else why_null(report, g.key), _images(g, report))
        for g, value in found
    ]


def _images(gate: Gate, report: Report) -> int | None:
    """Test images of the class that a recall is of: named, or the worst one."""
    counts = (report.data and report.data.test_images_by_class) or {}
    if gate.named is not None:
        return counts.get(gate.named)
    _, role, last = ["", "", *gate.key.split(".")][-3:]
    part = report.models.get(role) if last == "worst_class_recall" else None
    return counts.get(part.worst_class) if part and part.worst_class else None


def missed(checked: list[Checked]) -> GateMissed | None:
    """The error for those that were missed; None where all were met."""
    lines = [
        f"{c.gate.key} is {c.shown}{';' if c.value is None else ','} "
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
