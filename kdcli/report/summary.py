"""What `kd evaluate` found, as a comment on a pull request: verdict, one table, gates, flips."""

from collections.abc import Iterator, Sequence

from kdcli.core.text import signed
from kdcli.report.against import (
    COSTS,
    AgainstPart,
    against_sentence,
    cost_words,
    ratio_words,
)
from kdcli.report.gates import Checked
from kdcli.report.markdown_text import Marked, code, listed, markdown_table, plain
from kdcli.report.model import ModelPart
from kdcli.report.schema import Report

FLIPS, CLASSES, NOTES = 5, 3, 5
"""So many are shown."""
LONGEST = 80
"""Characters of a name."""


def summary(report: Report, gates: Sequence[Checked], title: str) -> str:
    """Markdown; `title` is what was evaluated."""
    lines = [f"### {_headline(gates)}: {_code(title)}", ""]
    if report.against:
        lines += [plain(against_sentence(report.against)), ""]
    if report.verdict:
        lines += [plain(report.verdict), ""]
    lines += [*_figures(report), ""]
    if gates:
        lines += [*_gates(gates), ""]
    if report.against:
        lines += [*_losses(report.against), ""]
    if report.comparison is None:
        lines += listed(report.notes[:NOTES])
    return "\n".join(lines).rstrip() + "\n"


def _headline(gates: Sequence[Checked]) -> str:
    if not gates:
        return "Evaluated"
    lost = sum(not one.passed for one in gates)
    return (
        f"{lost} of {len(gates)} gates missed"
        if lost
        else f"{len(gates)} of {len(gates)} gates passed"
    )


def _figures(report: Report) -> list[str]:
    student, found = report.models["student"], report.against
    if found is None:
        roles = [role for role in ("student", "baseline", "teacher") if role in report.models]
        rows = [[role, *_cells(report.models[role])] for role in roles]
        return markdown_table(["", "model", "test accuracy", "parameters", "file"], rows)
    rows = [
        [
            "test accuracy",
            _share(found.accuracy),
            _share(student.accuracy),
            f"{signed(100 * found.gain)} points",
        ],
        *(_cost_row(key, found) for key in COSTS if getattr(found, key).ratio is not None),
    ]
    return markdown_table(["", "release", "now", "change"], rows)


def _cost_row(key: str, found: AgainstPart) -> list[str]:
    change = getattr(found, key)
    return [
        COSTS[key],
        cost_words(key, change.before),
        cost_words(key, change.now),
        ratio_words(change),
    ]


def _cells(part: ModelPart) -> list[str]:
    return [
        _code(part.name),
        _share(part.accuracy),
        cost_words("params", part.params),
        cost_words("file_bytes", part.file_bytes),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _gates(gates: Sequence[Checked]) -> list[str]:
    rows = [
        [
            _code(one.gate.title.replace("models.", "", 1)),
            one.limit,
            one.shown,
            one.interval,
            one.outcome if one.passed else Marked(f"**{plain(one.outcome)}**"),
        ]
        for one in gates
    ]
    return markdown_table(["gate", "limit", "value", "95% interval", ""], rows)


def _losses(found: AgainstPart) -> Iterator[str]:
    flips = found.flips
    yield f"{flips.count:,} right before and wrong now, {flips.fixed:,} the other way round."
    if flips.images or found.classes_lost:
        yield ""
    for one in flips.images[:FLIPS]:
        yield f"- {_code(one.image)}: {_code(one.label)}, now {_code(one.now)}"
    if flips.count > FLIPS:
        yield f"- and {flips.count - FLIPS:,} more"
    for lost in found.classes_lost[:CLASSES]:
        fallen = signed(-100 * lost.drop)
        yield f"- recall of {_code(lost.name)}: {fallen} points ({lost.test_images:,} images)"


def _code(name: str) -> Marked:
    return code(name, LONGEST)
