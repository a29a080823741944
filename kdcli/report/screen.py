"""A report on one screen: who is how good, how large and how fast; what must be known before
believing it. All else is in report.md, and behind --details."""

from collections.abc import Sequence
from pathlib import Path

from kdcli.core.text import short, signed, size_in_words
from kdcli.report.export import Export
from kdcli.report.model import ModelPart, Range
from kdcli.report.schema import Report
from kdcli.report.table import heads, roles, uneven

POWER = "this comparison could"
"""How that note begins."""
ROWS = 10
NOTES = 2
SPARE = ("balanced", "95% interval", "file", "MACs", "params", "sd")
"""Columns that a narrow terminal can do without, the dearest first."""


def overview(report: Report) -> tuple[list[str], list[list[str]]]:
    """Heads and a row per model, then one per file of the student; columns in which nobody has
    anything are left out."""
    columns = ["", "model", "accuracy", "95% interval", "sd", "balanced", "params", "MACs"]
    columns += ["file", "ms"]
    rows = [
        _row(head, report.models[role], uneven(report))
        for head, role in zip(heads(report), roles(report), strict=True)
    ]
    rows += [_file_row(one, report.models["student"]) for one in _files(report)]
    kept = [i for i, _ in enumerate(columns) if i < 2 or any(row[i] != "-" for row in rows)]
    return [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]


def shown_at(record: Path) -> Path:
    """Where to look at report.json: the page; of records that have none, or whose page could not be
    drawn, the Markdown."""
    page = record.with_suffix(".html")
    return page if page.is_file() else record.with_suffix(".md")


def notes_in_order(report: Report) -> list[str]:
    """What a comparison could have shown comes last: the verdict says what it has."""
    return sorted(report.notes, key=lambda note: note.startswith(POWER))


def _row(head: str, part: ModelPart, balanced: bool) -> list[str]:
    fast = part.latency_ms.onnxruntime.p50 if part.latency_ms else None
    return [
        head,
        part.name,
        _share(part.accuracy),
        _span(part.accuracy_ci95),
        _share(part.accuracy_sd),
        _share(part.balanced_accuracy) if balanced else "-",
        short(part.params),
        "-" if part.macs is None else short(part.macs),
        "-" if part.file_bytes is None else size_in_words(part.file_bytes),
        "-" if fast is None else f"{fast:.2f}",
    ]


def _files(report: Report) -> list[Export]:
    """The last one of each precision; fp32 is the student itself, where that was measured."""
    found = {one.precision: one for one in report.exports or []}
    if report.models["student"].accuracy is not None:
        found.pop("fp32", None)
    return list(found.values())


def _file_row(one: Export, student: ModelPart) -> list[str]:
    accuracy, fast = _share(one.accuracy), f"{one.latency_ms.p50:.2f}"
    size = size_in_words(one.bytes)
    return [one.precision, student.name, accuracy, "-", "-", "-", "-", "-", size, fast]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _span(interval: Range | None) -> str:
    return "-" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


WIDTH = 40
"""Characters of a bar."""
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def gain_bar(low: float, gain: float, high: float) -> str:
    """An interval of accuracies beside 0, `-2 |      .  (--o--)  | +2`: in points, to the smallest
    scale that holds it."""
    end = next((scale for scale in SCALES if max(abs(low), abs(high)) <= scale), 1.0)
    first, middle, last, nothing = (
        round((min(max(x, -end), end) / end + 1) / 2 * WIDTH) for x in (low, gain, high, 0.0)
    )
    signs = [" "] * (WIDTH + 1)
    signs[first : last + 1] = "-" * (last + 1 - first)
    signs[nothing] = ":"
    signs[first], signs[last] = "(", ")"
    signs[middle] = "o"
    return f"{signed(-100 * end, '.0f')} |{''.join(signs)}| {signed(100 * end, '.0f')} points"


BLOCKS = "▁▂▃▄▅▆▇█"


def curve(values: Sequence[float], width: int = 30) -> str:
    """How values rose and fell, a block each, of as many as have room; nothing of a single one."""
    if len(values) < 2:
        return ""
    step = max(1, -(-len(values) // width))
    shown = [values[min(i + step, len(values)) - 1] for i in range(0, len(values), step)]
    low, high = min(shown), max(shown)
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round((v - low) / ((high - low) or 1) * top)] for v in shown)
