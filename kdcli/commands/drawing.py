"""A report as rows, lines and Markdown."""

from typing import Literal

from kdcli.commands.amounts import points, span
from kdcli.commands.class_table import UNEVEN, class_table, uneven
from kdcli.commands.ensemble_lines import ensemble_lines, peers_line
from kdcli.commands.export_places import main_export
from kdcli.commands.file_table import file_table, worth_lines
from kdcli.commands.latency_lines import faster, in_use
from kdcli.commands.licence_lines import licence_line, licence_table
from kdcli.commands.model_part import ModelPart, Percentiles, Range
from kdcli.commands.report import Comparison, Export, FoldPart, Report, between, imitated
from kdcli.errors import counted
from kdcli.nearness import WORTH_CLOSING

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
    """Rows of `[what, one cell per role]`, without what nobody has."""
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


def figures(report: Report) -> list[str]:
    """The comparison in a few lines."""
    if (c := report.comparison) is None:
        return []
    above = imitated(report.models)
    lines = [
        f"gain over the baseline {points(c.gain)} (95% CI {span(c.gain_ci95)}), "
        f"p = {c.p_value:.3g}, {c.seeds} seed{'s' if c.seeds > 1 else ''}",
    ]
    if c.accuracy_drop is not None and c.agreement is not None and c.size_reduction is not None:
        lines.append(
            f"{_smaller(c.size_reduction, c.macs_reduction)}accuracy {points(-c.accuracy_drop)} "
            f"against the {above}, agreement {c.agreement:.3f}"
        )
    if together := peers_line(report.models):
        lines.append(together)
    if c.ensemble:
        lines += ensemble_lines(c.ensemble, report.teachers or [])
    lines += _on_classes(report, c)
    if c.speedup:
        lines.append(faster(report, c.speedup))
    lead = (c.accuracy_drop or 0.0) + c.gain  # the teacher's, over the baseline
    if c.gap_closed is not None and lead >= WORTH_CLOSING:
        lines.append(f"share of the baseline-to-{above} gap closed: {c.gap_closed:.0%}")
    if c.distillation_score is not None:
        lines.append(f"distillation score {c.distillation_score:.3f} (lower is better)")
    return lines


def _smaller(size: float, macs: float | None) -> str:
    """`size -96.4%, MACs -98.6%, `; a student may be larger; nothing where both are equal."""
    found = {"size": size, "MACs": macs}
    changes = {what: 0.0 - round(r, 3) for what, r in found.items() if r is not None}
    told = changes if any(changes.values()) else {}
    return "".join(f"{what} {change:+.1%}, " for what, change in told.items())


def _on_classes(report: Report, c: Comparison) -> list[str]:
    """The gain with all classes counted alike, and which class paid for the smaller model."""
    lines = []
    imbalance = (report.data and report.data.imbalance) or 1
    if c.balanced_gain is not None and c.balanced_gain_ci95 and imbalance > UNEVEN:
        lines.append(
            f"with every class counted alike, gain {points(c.balanced_gain)} "
            f"(95% CI {span(c.balanced_gain_ci95)})"
        )
    if lost := c.class_lost_most:
        ends = Range(low=-lost.ci95.high, high=-lost.ci95.low)
        classes = len(report.models["student"].recall or {})
        lines.append(
            f"most lost from {imitated(report.models)} to student: class '{lost.name}', "
            f"{points(-lost.drop)} (95% CI {span(ends)}, allowing for {classes} classes, "
            f"{lost.test_images} test image{'s' * (lost.test_images > 1)})"
        )
    return lines


def markdown(report: Report) -> str:
    """report.md."""
    lines = [f"# {report.run}", ""]
    if report.verdict:
        lines += [f"**{report.verdict}**", ""]
    lines += markdown_table(["", *heads(report)], table(report))
    lines += ["", *(f"- {line}" for line in [*figures(report), *report.notes])]
    if rows := class_table(report, roles(report)):
        names = dict(zip(roles(report), heads(report), strict=True))
        lines += ["", *markdown_table([names.get(head, head) for head in rows[0]], rows[1:])]
    if rows := exit_table(report):
        lines += ["", *markdown_table(rows[0], rows[1:])]
    if data := report.data:
        words = f"{data.test_images} test images, {data.classes} classes"
        if data.imbalance is not None:
            words += f", largest : smallest training class {data.imbalance:.3g} : 1"
        lines += ["", f"Data: {data.name}, {words}."]
    if report.licences:
        lines += ["", "## Licences", "", licence_line(report.licences), ""]
        lines += markdown_table(*licence_table(report.licences))
    for export in report.exports or []:
        lines += [
            "",
            f"ONNX: `{export.path}`, {export.bytes:,} bytes, opset {export.opset}, "
            f"max |difference| to PyTorch {export.parity.max_abs:.1e} "
            f"on {export.parity.images} images.{_sentence(input_words(export))}",
        ]
        if export.fold:
            lines[-1] += f" {fold_words(export.fold)}."
        lines += ["", *(f"- {line}" for line in in_use(export))]
    if rows := file_table(report.exports or []):
        lines += ["", *markdown_table(rows[0], rows[1:]), ""]
        lines += [f"- {line}" for line in worth_lines(report.exports or [])]
    for package in report.packages or []:
        lines += [
            "",
            f"For {package.format}: `{package.path}`, {package.bytes:,} bytes, by "
            f"{package.written_by}, max |difference| to PyTorch {package.parity.max_abs:.1e} "
            f"on {package.parity.images} images.",
        ]
    return "\n".join(lines) + f"\n\nkd {report.kd}\n"


def input_words(export: Export) -> str:
    """What the file takes, where that is not a tensor of any number of images."""
    pixels = ["uint8 pixels in, probabilities out"] * (export.input == "pixels")
    sizes = ["images of any size"] * export.resize
    several = [] if export.batch is None else [f"always {counted(export.batch, 'image')} at a time"]
    return ", ".join(pixels + sizes + several)


def _sentence(words: str) -> str:
    return f" {words[0].upper()}{words[1:]}." if words else ""


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


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def fold_words(part: FoldPart) -> str:
    """What became of a student's heads, why, and what it did to the answers."""
    what = "folded into one" if part.folded else "kept, and answer as one"
    words = f"{part.heads} heads {what}: {part.reason}"
    if part.accuracy_exact is None or part.accuracy_folded is None:
        return words
    return (
        f"{words}; on validation, all heads and folded: accuracy {part.accuracy_exact:.4f} and "
        f"{part.accuracy_folded:.4f}, agreement {part.agreement:.3f}, KL {part.kl:.2g}, "
        f"calibration error {part.ece_exact:.3f} and {part.ece_folded:.3f}"
    )


def markdown_table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of Markdown; all columns but the first hold figures."""
    cells = [[cell.strip().replace("|", "\\|") for cell in row] for row in [heads, *rows]]
    first, *others = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in cells]
    return [first, f"|---|{'---:|' * (len(heads) - 1)}", *others]


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
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2f} {letter}{unit}"
    return f"{value} {unit}".strip()


def _latency(part: ModelPart, by: Literal["pytorch", "onnxruntime"]) -> str:
    if part.latency_ms is None:
        return "-"
    found: Percentiles = getattr(part.latency_ms, by)
    return f"{found.p50:.2f} / {found.p90:.2f} ms"
