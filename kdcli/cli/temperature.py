"""Temperature made visible: what `kd inspect` shows of a model's answers."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kdcli.cli.console import Console

if TYPE_CHECKING:
    from kdcli.evaluation.temperature import Level, Shown, Softened

_WORD = 11
"""Letters of a class's name at the head of a column."""
_ROWS = 20
"""Classes of the table of likeness; the others are in --json."""
MATRIX = 100
"""Up to so many classes --json has the whole matrix."""
_MEASURES = ["entropy", "of log K", "contrast"]
"""Heads of what `Level` holds: nats, a share of the most there is, first less second."""


def show_softened(console: Console, found: "Softened") -> None:
    """Tables for the whole of validation, for single images, and of classes that are alike."""
    console.line()
    console.line(
        f"{found.images:,} validation images of {found.data} softened by temperature T, means "
        f"(accuracy {found.accuracy:.4f} at any T):"
    )
    heads = [f"p of {nth}" for nth in ("1st", "2nd", "3rd", "4th", "5th")]
    _show_levels(console, heads, found.levels)
    for shown in found.shown:
        console.line(_caption(shown))
        _show_levels(console, [_word(name) for name in shown.classes], shown.levels)
    if not any(shown.why == "wrong" for shown in found.shown):
        console.line("no validation image is answered wrongly")
    _show_alike(console, found)


def document(found: "Softened") -> dict[str, Any]:
    """All of it; the matrix of mean soft targets where classes are few, else its largest alone."""
    few = len(found.classes) <= MATRIX
    return {
        "data": found.data,
        "split": "validation",
        "images": found.images,
        "accuracy": found.accuracy,
        "levels": [asdict(level) for level in found.levels],
        "shown": [asdict(shown) for shown in found.shown],
        "alike": {
            "temperature": found.temperature,
            "classes": {
                name: [{"class": found.classes[j], "mean": share} for j, share in near]
                for name, near in zip(found.classes, found.alike(), strict=True)
            },
            "mean_soft_targets": _matrix(found) if few else None,
        },
    }


def _matrix(found: "Softened") -> list[list[float] | None]:
    """(K, K) in the order of the classes; null for one without images."""
    rows = found.targets.tolist()
    return [None if any(p != p for p in row) else row for row in rows]


def _caption(shown: "Shown") -> str:
    said = shown.classes[0]
    verdict = {
        "sure": f"{shown.label}, sure and right",
        "unsure": f"{shown.label}, right but unsure",
        "wrong": f"{shown.label}, taken for {said}",
    }[shown.why]
    return f"{shown.id}: {verdict}"


def _show_levels(console: Console, heads: list[str], levels: "tuple[Level, ...]") -> None:
    rows = [
        [
            f"{level.temperature:g}",
            *(_probability(p) for p in level.top),
            f"{level.entropy:.3f}",
            f"{level.entropy_share:.1%}",
            f"{level.contrast:.3f}",
        ]
        for level in levels
    ]
    console.table(["T", *heads[: len(levels[0].top)], *_MEASURES], rows)


def _show_alike(console: Console, found: "Softened") -> None:
    """The classes that are taken for others most come first where not all are shown."""
    rows = [(name, near) for name, near in zip(found.classes, found.alike(), strict=True) if near]
    few = len(rows) <= _ROWS
    if not few:
        rows = sorted(rows, key=lambda row: -row[1][0][1])[:_ROWS]
    console.line(
        f"classes held to be alike: mean probability that the images of a class give to others, "
        f"at T = {found.temperature:g}" + ("" if few else f"; the {_ROWS} most, all with --json")
    )
    console.table(
        ["images of", "look most like"],
        [
            [name, ", ".join(f"{found.classes[j]} {_probability(share)}" for j, share in near)]
            for name, near in rows
        ],
        figures=False,
    )


def _probability(p: float) -> str:
    return f"{p:.4f}" if p >= 0.00005 or p == 0 else f"{p:.0e}"


def _word(name: str) -> str:
    return name if len(name) <= _WORD else f"{name[: _WORD - 1]}…"
