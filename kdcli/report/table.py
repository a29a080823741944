"""A report as rows: roles side by side, recall per class, early exits, exported files."""

from collections.abc import Sequence
from typing import Literal

from kdcli.core.text import scaled
from kdcli.report.export import Export
from kdcli.report.model import ModelPart, Percentiles, Range
from kdcli.report.schema import Report, between, imitated, main_export

UNEVEN = 1.5
"""Largest : smallest class from which on accuracy and balanced accuracy tell different stories."""
MANY = 50
"""Classes that are still listed whole."""
WORST = 10
"""Rows where there are more."""


def uneven(report: Report) -> bool:
    """Whether the classes of training or of test differ much in size."""
    if (data := report.data) is None:
        return False
    counts = [n for n in (data.test_images_by_class or {}).values() if n]
    return (data.imbalance or 1) > UNEVEN or (bool(counts) and max(counts) / min(counts) > UNEVEN)


def class_table(report: Report, roles: list[str]) -> list[list[str]]:
    """Heads and rows `[class, test images, recall and its 95% interval per role]`.

    In the order of the classes, or the student's worst first where there are many. Empty where
    nothing was measured.
    """
    student = report.models.get("student")
    if report.data is None or student is None or not student.recall:
        return []
    measured = [role for role in roles if report.models[role].recall]
    counts, names = report.data.test_images_by_class or {}, list(student.recall)
    head = "recall of class"
    if len(names) > MANY:
        head = f"recall of the student's {WORST} worst of {len(names)} classes"
        names = sorted(names, key=student.recall.__getitem__)[:WORST]
    return [
        [head, "test images", *measured],
        *(
            [name, str(counts.get(name, "-")), *(_cell(report.models[r], name) for r in measured)]
            for name in names
        ),
    ]


def _cell(part: ModelPart, name: str) -> str:
    if (value := (part.recall or {}).get(name)) is None:
        return "-"
    ends = (part.recall_ci95 or {}).get(name)
    return f"{value:.3f}" + (f" ({ends.low:.3f} to {ends.high:.3f})" if ends else "")


def file_table(exports: Sequence[Export]) -> list[list[str]]:
    """Heads and a row for each file; empty where no precision stands beside fp32."""
    if not any(one.worth for one in exports):
        return []
    heads = ["file", "precision", "bytes", "test accuracy", "onnxruntime p50", "speed-up", ""]
    return [heads, *(_row(one) for one in exports)]


def _row(export: Export) -> list[str]:
    worth = export.worth
    return [
        export.path,
        export.precision,
        f"{export.bytes:,}",
        "-" if export.accuracy is None else f"{export.accuracy:.4f}",
        f"{export.latency_ms.p50:.2f} ms",
        f"{worth.speedup:.2f}x" if worth else "-",
        "-" if worth is None else "worth it" if worth.worth_it else "not worth it",
    ]


LONG = 24
"""Characters of a class's name that a cell of the table holds."""


TAUGHT = ("student", "assistant", "generation")
"""Roles of runs that stand as the student beside their baseline."""


def roles(report: Report) -> list[str]:
    """The roles there are: from the teachers down to the student, its baseline, any others."""
    chain = ["ensemble", "teacher", *between(report.models), "student"]
    order = dict.fromkeys([*chain, "generations", "baseline", "peers"])
    return [role for role in order | report.models if role in report.models]


def heads(report: Report) -> list[str]:
    """What the columns are called: a model that was measured alone has the role of its run."""
    found = roles(report)
    names = {"teacher": "best teacher"} if "ensemble" in found else {}
    if found == ["student"] or report.role not in TAUGHT:
        names["student"] = report.role.replace("_", " ")
    return [names.get(role, role.replace("_", " ")) for role in found]


def table(report: Report) -> list[list[str]]:
    """Rows of `[what, one cell per role]`; `-` where a role has none, no row where nobody has."""
    parts, above = [report.models[role] for role in roles(report)], imitated(report.models)
    alike = parts if uneven(report) else []  # else they only repeat the accuracy
    rows = [
        ["model", *(p.name for p in parts)],
        ["test accuracy", *(_number(p.accuracy, ".4f") for p in parts)],
        ["test accuracy of the file", *(_number(p, ".4f") for p in _of_file(report))],
        ["  95% interval", *(_interval(p.accuracy_ci95) for p in parts)],
        ["  sd over seeds", *(_number(p.accuracy_sd, ".4f") for p in parts)],
        ["balanced accuracy", *(_number(p.balanced_accuracy, ".4f") for p in alike)],
        ["macro F1", *(_number(p.macro_f1, ".4f") for p in alike)],
        ["worst class recall", *(_worst(p) for p in parts)],
        ["NLL", *(_number(p.nll, ".3f") for p in parts)],
        ["calibration error", *(_number(p.ece, ".3f") for p in parts)],
        [f"agrees with {above}", *(_number(p.agreement, ".3f") for p in parts)],
        [f"KL to {above}", *(_number(p.kl_to_teacher, ".3f") for p in parts)],
        [
            "maps agree: flip / scale / layers",
            *(_maps(p, "flip", "scale", "layers") for p in parts),
        ],
        ["map entropy (1 = flat)", *(_maps(p, "entropy") for p in parts)],
        ["parameters", *(_amount(p.params) for p in parts)],
        ["MACs (FLOPs = 2x)", *(_amount(p.macs) for p in parts)],
        ["ONNX file", *(_amount(p.file_bytes, "B") for p in parts)],
        ["onnxruntime p50/p90", *(_latency(p, "onnxruntime") for p in parts)],
        ["PyTorch p50/p90", *(_latency(p, "pytorch") for p in parts)],
        ["training", *(_number(p.train_seconds, ".0f", " s") for p in parts)],
    ]
    return [row for row in rows if any(cell != "-" for cell in row[1:])]


def _of_file(report: Report) -> list[float | None]:
    """The fp32 file's accuracy, where nobody has evaluated its model."""
    file = main_export(report) if report.models["student"].accuracy is None else None
    students = {"student": file.accuracy} if file else {}
    return [students.get(role) for role in roles(report)]


def exit_table(report: Report) -> list[list[str]]:
    """Heads and rows `[exit, parameters, MACs, accuracy, share of the deepest's accuracy]` of the
    early exits, the shallowest first, and of the model that ships. Empty where there are none."""
    early = [role for role in report.models if role.startswith("exit_")]
    deepest = report.models.get("student")
    if not early or deepest is None:
        return []
    ordered = sorted(early, key=lambda role: int(role.removeprefix("exit_")))
    return [
        ["exit", "parameters", "MACs", "accuracy", "of the deepest's accuracy"],
        *(
            [
                role.replace("_", " ") if role in early else f"the deepest: {role}",
                _amount(part.params),
                _amount(part.macs),
                _number(part.accuracy, ".4f"),
                _number(_share(part.accuracy, deepest.accuracy), ".1%"),
            ]
            for role, part in ((role, report.models[role]) for role in [*ordered, "student"])
        ),
    ]


def learning_table(report: Report) -> list[list[str]]:
    """Heads and rows of how each role's training ended, and of what each term of its loss had of
    the gradient by then. Empty where nobody knows."""
    parts = [report.models[role] for role in roles(report)]
    rows = [
        ["epochs", *(_number(part.epochs if part.curve else None, "d") for part in parts)],
        _ends("training accuracy", parts, "train_accuracy", ".4f"),
        _ends("validation accuracy", parts, "validation_accuracy", ".4f"),
        _ends("validation NLL", parts, "validation_nll", ".3f"),
        _ends("best epoch", parts, "best_epoch", ".3g"),
        _ends("  validation accuracy", parts, "best_validation_accuracy", ".4f"),
    ]
    names = dict.fromkeys(term.term for part in parts for term in part.terms or ())
    for name in names:
        found = [{t.term: t.share_of_gradient for t in p.terms or ()}.get(name) for p in parts]
        rows.append([f"gradient from {name}", *(_number(share, ".1%") for share in found)])
    told = [row for row in rows if any(cell != "-" for cell in row[1:])]
    return [["at the end of training", *heads(report)], *told] if told else []


def _ends(words: str, parts: Sequence[ModelPart], field: str, how: str) -> list[str]:
    return [words, *(_number(getattr(part.curve, field, None), how) for part in parts)]


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _worst(part: ModelPart) -> str:
    if part.worst_class_recall is None or part.worst_class is None:
        return "-"
    name = part.worst_class
    return (
        f"{part.worst_class_recall:.3f} ({name if len(name) <= LONG else name[: LONG - 1] + '…'})"
    )


def _maps(part: ModelPart, *fields: str) -> str:
    if part.maps is None:
        return "-"
    return " / ".join(_number(getattr(part.maps, field), ".3f") for field in fields)


def _number(value: float | None, how: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{how}}{unit}"


def _interval(interval: Range | None) -> str:
    return "-" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def _amount(value: int | None, unit: str = "") -> str:
    if value is None:
        return "-"
    number, letter = scaled(value)
    return f"{number:{'.2f' if letter else '.0f'}} {letter}{unit}".strip()


def _latency(part: ModelPart, by: Literal["pytorch", "onnxruntime"]) -> str:
    if part.latency_ms is None:
        return "-"
    found: Percentiles = getattr(part.latency_ms, by)
    return f"{found.p50:.2f} / {found.p90:.2f} ms"
