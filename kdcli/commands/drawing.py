"""A report as rows, lines and Markdown."""

from typing import Literal

from kdcli.commands.report import ModelPart, Percentiles, Range, Report

WORTH_CLOSING = 0.01
"""A share of a smaller gap than a point says nothing."""


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
    lead = c.accuracy_drop + c.gain  # of the teacher over the baseline
    if c.gap_closed is not None and lead >= WORTH_CLOSING:
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


def markdown(report: Report) -> str:
    """report.md."""
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
