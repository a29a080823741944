"""report.json and report.md: read, filled by evaluate and export each in its part, redrawn."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdcli import __version__
from kdcli.core.errors import DamagedFile
from kdcli.core.file_format import REPORT
from kdcli.core.files import write_text
from kdcli.core.json_text import from_json
from kdcli.report.choices import Protocol
from kdcli.report.comparison import Comparison, Speedup
from kdcli.report.export import Export, PackagePart, replaced
from kdcli.report.markdown import markdown
from kdcli.report.model import ModelPart, TeacherPart
from kdcli.report.schema import DataPart, Report, imitated, main_export, main_index

ANEW = "move it away; kd writes a new one"
WAIT_SECONDS = 60.0
"""For another kd that is writing into the run's folder: what was measured is not thrown away."""


@dataclass(frozen=True)
class Conditions:
    """Under which the latencies were measured; the fields of `Report` that are called so."""

    measured_on: str
    processor: str | None = None
    threads: int | None = None
    protocol: Protocol | None = None
    noise: float | None = None
    noise_pytorch: float | None = None


def read_report(place: Path, model_sha256: str | None) -> Report | None:
    """The report at report.json; None where there is none, or its model.pt has changed since (of
    None nobody can know).

    Raises:
        DamagedFile: report.json is not kd's, or a newer kd's.
    """
    if not place.is_file():
        return None
    try:
        # read by json: pydantic's own reader refuses names that are not UTF-8
        raw = from_json(place.read_text("utf-8"))
        if isinstance(raw, dict):
            REPORT.refuse_others(place, raw.get(REPORT.key, REPORT.writes), ANEW)
        report = Report.model_validate(raw)
    except ValueError as error:  # bad bytes, no JSON, or no report
        raise DamagedFile(f"{place}: not a report of this kd", ANEW) from error
    return report if model_sha256 in (None, report.model_sha256) else None


def write_report(place: Path, report: Report) -> Report:
    """Recompute what depends on several parts, and redraw everything from the record."""
    report = _with_note_on_fold(_with_note_on_size(_with_costs(report)))
    report = report.model_copy(update={"kd": __version__})
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(place, text + "\n")
    write_text(place.with_suffix(".md"), markdown(report))
    return report


def put_evaluation(
    report: Report,
    *,
    data: DataPart,
    models: Mapping[str, ModelPart],
    teachers: list[TeacherPart] | None,
    comparison: Comparison | None,
    verdict: str,
    notes: list[str],
) -> Report:
    """Evaluate's parts over the record; export's stay, of models that are called as before."""
    kept = {
        role: part.model_copy(
            update=_of_export(role, old, heads=_has_heads(report))
            if (old := report.models.get(role)) and old.name == part.name
            else {}
        )
        for role, part in models.items()
    }
    update = {"data": data, "models": kept, "teachers": teachers, "comparison": comparison}
    said = {"verdict": verdict, "notes": notes, "against": None}
    return report.model_copy(update=update | said)


def put_export(
    report: Report, models: Mapping[str, ModelPart], exports: list[Export], conditions: Conditions
) -> Report:
    """Export's parts over the record; evaluate's stay. `exports` are one family, fp32 first: it
    takes the place of the earlier one there (`export.replaced`).

    Of roles that are not among `models`, no earlier time stays: it was not taken beside these.
    What a device has measured stays with its file's sum: a changed file has not been measured.
    """
    merged = {role: part.model_copy(update=_UNTIMED) for role, part in report.models.items()}
    for role, part in models.items():
        known = merged.setdefault(role, part)
        if known.name == part.name:  # else what was evaluated is another model
            fields = _of_export(role, part, heads=exports[0].fold is not None)
            merged[role] = known.model_copy(update=fields)
    measured = {export.sha256: export.measured for export in report.exports or []}
    kept = [e.model_copy(update={"measured": measured.get(e.sha256, [])}) for e in exports]
    update = {"models": merged, "exports": replaced(report.exports or [], kept)}
    return report.model_copy(update=update | asdict(conditions))


_UNTIMED = {"file_bytes": None, "latency_ms": None}
"""What one export measures of all roles together."""


def put_package(report: Report, student: ModelPart, package: PackagePart) -> Report:
    """A package over the record, in place of an earlier one there; `student` where nobody has
    measured it yet."""
    others = [one for one in report.packages or [] if one.path != package.path]
    update = {"packages": [*others, package]}
    return with_student(report, student).model_copy(update=update)


def with_student(report: Report, student: ModelPart) -> Report:
    """The record, with what is known of a student that nobody has measured yet."""
    return report.model_copy(update={"models": {"student": student} | report.models})


def _of_export(role: str, part: ModelPart, heads: bool) -> dict[str, Any]:
    """What export measures; a student whose heads are folded is another model than its run's."""
    fields = {"file_bytes": part.file_bytes, "latency_ms": part.latency_ms}
    if role == "student" and heads:
        fields |= {"params": part.params, "macs": part.macs}
    return fields


def _has_heads(report: Report) -> bool:
    """Whether what was exported is a student of several heads, folded or not."""
    file = main_export(report)
    return bool(file and file.fold)


def _with_costs(report: Report) -> Report:
    """What compares costs, anew: an export may have folded the student, evaluate not."""
    teacher = report.models.get(imitated(report.models) or "")
    student = report.models.get("student")
    if not (report.comparison and teacher and student):
        return report
    params, macs = student.params / teacher.params, None
    if student.macs and teacher.macs:
        macs = student.macs / teacher.macs
    update: dict[str, Any] = {
        "speedup": _speedup(student, teacher),
        "size_reduction": 1 - params,
        "macs_reduction": 1 - macs if macs else None,
    }
    priority = report.comparison.size_priority
    if priority is not None and student.accuracy is not None and teacher.accuracy is not None:
        update["distillation_score"] = distillation_score(
            student.params, teacher.params, student.accuracy, teacher.accuracy, priority
        )
    if ensemble := report.comparison.ensemble:
        ratios = {"params_ratio": 1 / params, "macs_ratio": 1 / macs if macs else None}
        update["ensemble"] = ensemble.model_copy(update=ratios)
    comparison = report.comparison.model_copy(update=update)
    return report.model_copy(update={"comparison": comparison})


def _speedup(student: ModelPart, teacher: ModelPart) -> Speedup | None:
    if not ((slow := teacher.latency_ms) and (fast := student.latency_ms)):
        return None
    return Speedup(
        pytorch=slow.pytorch.p50 / fast.pytorch.p50,
        onnxruntime=slow.onnxruntime.p50 / fast.onnxruntime.p50,
    )


_OF_ALL_HEADS = "test figures are those of all "
"""How the note begins that tells figures and costs of two models apart."""


_SIZE = "the student is "
"""How the note begins that tells the student's size from its baseline's."""


def _with_note_on_size(report: Report) -> Report:
    """A gain over a smaller baseline is not the teaching's alone."""
    words, baseline = "", report.models.get("baseline")
    if report.comparison and baseline:
        student = report.models["student"]
        if (ratio := f"{student.params / baseline.params:.3g}") != "1":
            words = f"{_SIZE}{student.name}: {ratio} times the baseline's parameters"
    return _with_note(report, _SIZE, words)


def _with_note_on_fold(report: Report) -> Report:
    """Costs are those of the file; what was measured on test had all its heads."""
    words, file = "", main_export(report)
    fold = file.fold if file else None
    if fold and fold.folded and report.models["student"].accuracy is not None:
        words = (
            f"{_OF_ALL_HEADS}{fold.heads} heads; the folded file's accuracy is "
            f"exports.{main_index(report)}.accuracy"
        )
    return _with_note(report, _OF_ALL_HEADS, words)


def _with_note(report: Report, beginning: str, words: str) -> Report:
    """In place of the note that begins so; no `words`, no note."""
    kept = [note for note in report.notes if not note.startswith(beginning)]
    return report.model_copy(update={"notes": [*kept, *filter(None, [words])]})


def distillation_score(
    size_student: float,
    size_teacher: float,
    acc_student: float,
    acc_teacher: float,
    a: float = 0.5,
) -> float | None:
    """a * size_s / size_t + (1 - a) * (1 - acc_s / acc_t), lower is better (Alkhulaifi 2021).

    Sizes are parameter counts, `a` in [0, 1] says how much size matters. Negative where a small
    student beats its teacher; None where the teacher gets nothing right.
    """
    if acc_teacher == 0:
        return None
    return a * (size_student / size_teacher) + (1 - a) * (1 - acc_student / acc_teacher)
