"""Gates: limits on any number of the report (`--min`, `--max`), and on its change from a release
(`--max-drop`, `--max-ratio`)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from kdcli.core.errors import GateMissed, UsageError
from kdcli.core.text import class_name, counted, did_you_mean
from kdcli.report.changes import change, interval_at
from kdcli.report.keys import CLASS, find_key, meant_key, units, value_at
from kdcli.report.model import Range, Unit
from kdcli.report.null_reasons import why_null
from kdcli.report.schema import Report

Kind = Literal["min", "max", "max-drop", "max-ratio"]
CHANGES = ("max-drop", "max-ratio")
"""Of the release's number and this one: old - new, new / old."""
DIGITS = (".6g", ".9g", ".12g", ".17g")
FEW_IMAGES = 30
"""Of a class: of fewer, one moves its recall by more than three points."""


@dataclass(frozen=True)
class Gate:
    """One limit; `key` is the number's full path in the report."""

    kind: Kind
    key: str
    limit: float
    pattern: str = ""
    """The key with CLASS in the name's place, where it names a class."""

    @property
    def title(self) -> str:
        """`max-drop models.student.accuracy`."""
        return f"{self.kind} {self.key}"

    @property
    def needs_release(self) -> bool:
        """It compares, or is on what was compared."""
        return self.kind in CHANGES or self.key.startswith("against.")

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
    why: str = ""  # it is None
    images: int | None = None
    """Test images of the class whose recall it is."""
    ci95: Range | None = None
    """Of the value, where it is known."""
    before: float | None = None
    """The release's number and this one, of a gate on their change."""
    now: float | None = None

    @property
    def passed(self) -> bool:
        if self.value is None:
            return False
        value, limit = self.value, self.gate.limit
        # 0.95 - 0.945 is more than 0.005 by the last bit, and 98.4 / 100 than 0.984
        if math.isclose(value, limit, rel_tol=1e-9, abs_tol=1e-12):
            return True
        return value >= limit if self.gate.kind == "min" else value <= limit

    def as_dict(self) -> dict[str, Any]:
        gate = self.gate
        changed = {"before": self.before, "now": self.now} if gate.kind in CHANGES else {}
        return {
            "gate": gate.title,
            "limit": gate.limit,
            "value": self.value,
            "ci95": self.ci95.model_dump() if self.ci95 else None,
            "passed": self.passed,
            **changed,
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
        return f"null: {self.why}" if self.value is None else format(self.value, self._digits)

    @property
    def limit(self) -> str:
        """As exact as tells it from the value."""
        return format(self.gate.limit, self._digits)

    @property
    def _digits(self) -> str:
        value, limit = self.value or 0.0, self.gate.limit
        return next((d for d in DIGITS if format(value, d) != format(limit, d)), ".6g")

    @property
    def interval(self) -> str:
        """`0.91 to 0.95`, or `-`."""
        return f"{self.ci95.low:.4g} to {self.ci95.high:.4g}" if self.ci95 else "-"


def parse_gates(
    minima: Sequence[str] | None,
    maxima: Sequence[str] | None,
    drops: Sequence[str] | None = None,
    ratios: Sequence[str] | None = None,
    *,
    release: str | None = None,
) -> tuple[Gate, ...]:
    """Gates from `--min`, `--max`, `--max-drop` and `--max-ratio`, None where there are none,
    before anything runs; `release` is what is compared with.

    Raises:
        UsageError: a key that no report has, a value that is no number, or a gate on what changed
            since a release where there is none.
    """
    known = units()
    given: dict[Kind, Sequence[str] | None] = {
        "min": minima,
        "max": maxima,
        "max-drop": drops,
        "max-ratio": ratios,
    }
    gates = [_parse(kind, text, known) for kind, texts in given.items() for text in texts or ()]
    for gate in gates:
        if gate.needs_release and release is None:
            raise UsageError(
                f"--{gate.kind} {gate.key.removeprefix('models.')}: against which release?",
                "kd evaluate ... --against RELEASE: a run, a report.json with its predictions.npz, "
                "or an exported file",
            )
    return tuple(gates)


def _parse(kind: Kind, text: str, known: dict[str, Unit]) -> Gate:
    key, equals, value = text.rpartition("=")  # the name of a class may hold another
    key = key.strip()
    if not equals:
        example = {"max-drop": "=0.005", "max-ratio": "=1.1"}.get(kind, "=0.95")
        of = "student.params" if kind == "max-ratio" else "student.accuracy"
        raise UsageError(f"--{kind} {text}: expects KEY=VALUE", f"as in --{kind} {of}{example}")
    found = find_key(key, known)
    if found is None:
        raise UsageError(
            f"--{kind} {key}: no number of the report{meant_key(key, known)}",
            "every key is listed in docs/report.md",
        )
    full, pattern, unit = found
    flag = f"--{kind} {key}"
    if kind in CHANGES:
        unit = _unit_of_change(kind, flag, full, value.strip(), unit)
    limit = _limit(flag, value.strip(), unit)
    return Gate(kind, full, limit, pattern if CLASS in pattern else "")


def _unit_of_change(kind: Kind, flag: str, key: str, value: str, unit: Unit) -> Unit:
    """What can be the limit on a number's change."""
    if key.startswith("against."):
        raise UsageError(f"{flag}: a change already", "--min or --max holds it")
    if kind == "max-drop":
        if unit is Unit.AMOUNT and value.endswith("%"):
            raise UsageError(f"{flag}={value}: an amount, no fraction", f"{flag}=NUMBER without %")
        return Unit.CHANGE if unit in (Unit.SHARE, Unit.CHANGE) else Unit.RATIO
    if unit is not Unit.AMOUNT:
        raise UsageError(
            f"{flag}: new over old is for amounts; it is {unit.value}",
            f"--max-drop {key.removeprefix('models.')}=0.005: old - new",
        )
    return unit


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


def check_gates(
    gates: tuple[Gate, ...], report: Report, release: Report | None = None
) -> list[Checked]:
    """Each gate with the value it met; where no class lost anything, the largest drop is 0.

    `release` is the record that changes are measured from, `report.against` what was measured of
    both side by side.
    """
    raw = report.as_dict()
    c = report.comparison
    looked = c and c.balanced_gain is not None and c.accuracy_drop is not None  # for a class
    if c and looked and c.class_lost_most is None:
        raw["comparison"]["class_lost_most"] = {"drop": 0.0}
    return [
        _changed(gate, report, release) if gate.kind in CHANGES else _checked(gate, raw, report)
        for gate in gates
    ]


def _checked(gate: Gate, raw: dict[str, Any], report: Report) -> Checked:
    value = value_at(raw, gate.key)
    why = "" if value is not None else why_null(report, gate.key)
    return Checked(gate, value, why, _images(gate, report), interval_at(report, gate.key))


def _changed(gate: Gate, report: Report, release: Report | None) -> Checked:
    if release is None or report.against is None:
        return Checked(gate, None, "there is no release to compare with")
    found = change(gate.key, report, release)
    is_drop = gate.kind == "max-drop"
    value = found.drop if is_drop else found.ratio
    return Checked(
        gate,
        value,
        found.why if value is None else "",
        _images(gate, report),
        found.ci95 if is_drop else None,
        found.before,
        found.now,
    )


def _images(gate: Gate, report: Report) -> int | None:
    """Test images of the class that a recall is of: named, or the worst one."""
    counts = (report.data and report.data.test_images_by_class) or {}
    if gate.named is not None:
        return counts.get(gate.named)
    _, role, last = ["", "", *gate.key.split(".")][-3:]
    part = report.models.get(role) if last == "worst_class_recall" else None
    return counts.get(part.worst_class) if part and part.worst_class else None


_CHANGE = {"max-drop": "the drop of ", "max-ratio": "new over old of "}


def missed(checked: list[Checked]) -> GateMissed | None:
    """The error for those that were missed; None where all were met."""
    lines = [
        f"{_CHANGE.get(c.gate.kind, '')}{c.gate.key} is {c.shown}{';' if c.value is None else ','} "
        f"{'at least' if c.gate.kind == 'min' else 'at most'} {c.limit} was asked for"
        for c in checked
        if not c.passed
    ]
    if not lines:
        return None
    return GateMissed(f"{len(lines)} of {counted(len(checked), 'gate')} missed: {'; '.join(lines)}")
