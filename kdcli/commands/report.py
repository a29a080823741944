"""The record that evaluate and export fill, and all that is drawn from it.

report.json is this record (`"schema": 1`); report.md and the table on the terminal show it.
Accuracies are fractions of test. What does not exist is absent, what cannot be said is null.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdcli import __version__
from kdcli.errors import DamagedFile
from kdcli.runs import write_text

_PART = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Range(BaseModel):
    """A 95% interval."""

    model_config = _PART
    low: float
    high: float


class Percentiles(BaseModel):
    """Milliseconds per image at batch 1."""

    model_config = _PART
    p50: float
    p90: float


class LatencyMs(BaseModel):
    model_config = _PART
    pytorch: Percentiles
    onnxruntime: Percentiles


class SeedAccuracy(BaseModel):
    model_config = _PART
    seed: int
    accuracy: float


class ModelPart(BaseModel):
    """One role. The last two fields are export's, the others evaluate's."""

    model_config = _PART
    name: str
    accuracy: float | None = None
    """The mean where there are several seeds."""
    accuracy_ci95: Range | None = None
    accuracy_sd: float | None = None
    seeds: list[SeedAccuracy] | None = None
    nll: float | None = None
    ece: float | None = None
    agreement: float | None = None
    """Share of images on which its top-1 class is the teacher's."""
    kl_to_teacher: float | None = None
    params: int
    macs: int | None = None
    """Multiply-accumulates per image; FLOPs are twice that."""
    train_seconds: float | None = None
    epochs: int | None = None
    converged: bool | None = None
    file_bytes: int | None = None
    """Of the fp32 ONNX file."""
    latency_ms: LatencyMs | None = None


class Speedup(BaseModel):
    model_config = _PART
    pytorch: float
    onnxruntime: float


class Comparison(BaseModel):
    """The student against baseline and teacher."""

    model_config = _PART
    gain: float
    """student - baseline."""
    gain_ci95: Range
    p_value: float
    detectable_gain: float
    """The smallest gain that this test set could have shown (80% power)."""
    gap_closed: float | None
    """gain / (teacher - baseline); null where the teacher is not ahead."""
    size_reduction: float
    """1 - params_student / params_teacher."""
    macs_reduction: float | None
    speedup: Speedup | None = None
    """teacher / student, median latency; null before an export."""
    accuracy_drop: float
    """teacher - student."""
    agreement: float
    distillation_score: float | None
    seeds: int
    verdict_code: str


class DataPart(BaseModel):
    model_config = _PART
    name: str
    is_default: int
    classes: int
    test_images: int


class ParityPart(BaseModel):
    model_config = _PART
    max_abs: float
    top1_changed: int
    images: int
    synthetic: bool
    """Compared on made-up images, for want of the data."""


class Export(BaseModel):
    """One file written."""

    model_config = _PART
    path: str
    sha256: str
    input: Literal["tensor"] = "tensor"
    precision: Literal["fp32"] = "fp32"
    opset: int
    bytes: int
    parity: ParityPart
    accuracy: float | None
    """Of the file itself, on test."""
    latency_ms: Percentiles


class Report(BaseModel):
    """report.json."""

    model_config = _PART
    schema_: Literal[1] = Field(1, alias="schema")
    kd: str = __version__
    run: str
    model_sha256: str
    data: DataPart | None = None
    models: dict[str, ModelPart] = {}
    comparison: Comparison | None = None
    verdict: str | None = None
    notes: list[str] = []
    exports: list[Export] | None = None
    measured_on: str | None = None
    """Machine and threads of the latencies."""

    def as_dict(self) -> dict[str, Any]:
        """What report.json holds: roles and fields of models that do not exist are left out."""
        raw = self.model_dump(mode="json", by_alias=True)
        for part in raw["models"].values():
            for key in ("accuracy_sd", "seeds"):
                if part[key] is None:
                    del part[key]
        return raw


def read_report(folder: Path, model_sha256: str) -> Report | None:
    """The report in a run folder; None where there is none, or its model.pt has changed since.

    Raises:
        DamagedFile: report.json is not kd's.
    """
    place = folder / "report.json"
    if not place.is_file():
        return None
    try:
        report = Report.model_validate_json(place.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DamagedFile(
            f"{place}: not a report of this kd", "move it away; kd writes a new one"
        ) from error
    return report if report.model_sha256 == model_sha256 else None


def write_report(folder: Path, report: Report) -> Report:
    """Recompute what depends on several parts, and redraw everything from the record."""
    report = _with_speedup(report)
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "report.json", text + "\n")
    write_text(folder / "report.md", _markdown(report))
    return report


def put_evaluation(
    report: Report,
    *,
    data: DataPart,
    models: Mapping[str, ModelPart],
    comparison: Comparison | None,
    verdict: str,
    notes: list[str],
) -> Report:
    """Evaluate's parts over the record; export's stay."""
    kept = {
        role: part.model_copy(
            update={"file_bytes": old.file_bytes, "latency_ms": old.latency_ms}
            if (old := report.models.get(role)) and old.name == part.name
            else {}
        )
        for role, part in models.items()
    }
    update = {"data": data, "models": kept, "comparison": comparison}
    return report.model_copy(update=update | {"verdict": verdict, "notes": notes})


def put_export(
    report: Report, models: Mapping[str, ModelPart], export: Export, measured_on: str
) -> Report:
    """Export's parts over the record; evaluate's stay, an earlier file of that path goes."""
    merged = dict(report.models)
    for role, part in models.items():
        fields = {"file_bytes": part.file_bytes, "latency_ms": part.latency_ms}
        merged[role] = merged[role].model_copy(update=fields) if role in merged else part
    others = [e for e in report.exports or [] if e.path != export.path]
    update = {"models": merged, "exports": [*others, export], "measured_on": measured_on}
    return report.model_copy(update=update)


def _with_speedup(report: Report) -> Report:
    teacher, student = report.models.get("teacher"), report.models.get("student")
    if not (report.comparison and teacher and student):
        return report
    speedup = None
    if (slow := teacher.latency_ms) and (fast := student.latency_ms):
        speedup = Speedup(
            pytorch=slow.pytorch.p50 / fast.pytorch.p50,
            onnxruntime=slow.onnxruntime.p50 / fast.onnxruntime.p50,
        )
    comparison = report.comparison.model_copy(update={"speedup": speedup})
    return report.model_copy(update={"comparison": comparison})


# Drawing ---------------------------------------------------------------------------------------


def roles(report: Report) -> list[str]:
    """The roles there are: teacher, student, baseline, then any others."""
    first = [role for role in ("teacher", "student", "baseline") if role in report.models]
    return first + [role for role in report.models if role not in first]


def table(report: Report) -> list[list[str]]:
    """Rows of `[what, one cell per role]`, without what nobody has."""
    parts = [report.models[role] for role in roles(report)]
    rows = [
        ["model", *(p.name for p in parts)],
        ["test accuracy", *(_number(p.accuracy, ".4f") for p in parts)],
        ["  95% interval", *(_interval(p.accuracy_ci95) for p in parts)],
        ["  sd over seeds", *(_number(p.accuracy_sd, ".4f") for p in parts)],
        ["NLL", *(_number(p.nll, ".3f") for p in parts)],
        ["calibration error", *(_number(p.ece, ".3f") for p in parts)],
        ["agrees with teacher", *(_number(p.agreement, ".3f") for p in parts)],
        ["KL to teacher", *(_number(p.kl_to_teacher, ".3f") for p in parts)],
        ["parameters", *(_amount(p.params) for p in parts)],
        ["MACs (FLOPs = 2x)", *(_amount(p.macs) for p in parts)],
        ["ONNX file", *(_amount(p.file_bytes, "B") for p in parts)],
        ["onnxruntime p50/p90", *(_latency(p, "onnxruntime") for p in parts)],
        ["PyTorch p50/p90", *(_latency(p, "pytorch") for p in parts)],
        ["training", *(_number(p.train_seconds, ".0f", " s") for p in parts)],
    ]
    return [row for row in rows if any(cell != "-" for cell in row[1:])]


def figures(report: Report) -> list[str]:
    """The comparison in a few lines."""
    if (c := report.comparison) is None:
        return []
    lines = [
        f"gain over the baseline {points(c.gain)} (95% CI {span(c.gain_ci95)}), "
        f"p = {c.p_value:.3g}, {c.seeds} seed{'s' if c.seeds > 1 else ''}",
        f"size -{c.size_reduction:.1%}, accuracy {points(-c.accuracy_drop)} against the teacher, "
        f"agreement {c.agreement:.3f}",
    ]
    if c.macs_reduction is not None:
        lines[-1] = lines[-1].replace(",", f", MACs -{c.macs_reduction:.1%},", 1)
    if c.speedup:
        lines.append(
            f"{c.speedup.onnxruntime:.1f}x as fast as the teacher in onnxruntime, "
            f"{c.speedup.pytorch:.1f}x in PyTorch ({report.measured_on})"
        )
    if c.gap_closed is not None:
        lines.append(f"share of the baseline-to-teacher gap closed: {c.gap_closed:.0%}")
    if c.distillation_score is not None:
        lines.append(f"distillation score {c.distillation_score:.3f} (lower is better)")
    return lines


def points(difference: float) -> str:
    """A difference of accuracies: `+1.9 points`."""
    return f"{100 * difference:+.1f} points"


def span(interval: Range) -> str:
    """`+0.3 to +3.6`, in points."""
    return f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _markdown(report: Report) -> str:
    heads, rows = roles(report), table(report)
    lines = [f"# {report.run}", ""]
    if report.verdict:
        lines += [f"**{report.verdict}**", ""]
    lines += [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    lines += [f"| {' | '.join(cell.strip() for cell in row)} |" for row in rows]
    lines += ["", *(f"- {line}" for line in [*figures(report), *report.notes])]
    if data := report.data:
        words = f"{data.test_images} test images, {data.classes} classes"
        lines += ["", f"Data: {data.name}, {words}."]
    for export in report.exports or []:
        lines += [
            "",
            f"ONNX: `{export.path}`, {export.bytes:,} bytes, opset {export.opset}, "
            f"max |difference| to PyTorch {export.parity.max_abs:.1e} "
            f"on {export.parity.images} images.",
        ]
    return "\n".join(lines) + f"\n\nkd {report.kd}\n"


def _number(value: float | None, how: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{how}}{unit}"


def _interval(interval: Range | None) -> str:
    return "-" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def _amount(value: int | None, unit: str = "") -> str:
    if value is None:
        return "-"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2f} {letter}{unit}"
    return f"{value} {unit}".strip()


def _latency(part: ModelPart, by: Literal["pytorch", "onnxruntime"]) -> str:
    if part.latency_ms is None:
        return "-"
    found: Percentiles = getattr(part.latency_ms, by)
    return f"{found.p50:.2f} / {found.p90:.2f} ms"
