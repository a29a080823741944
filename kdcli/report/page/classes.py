"""Class by class: the confusion matrix, and recall of teacher, student and baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from kdcli.core.text import signed
from kdcli.report.page.facts import Confusion
from kdcli.report.page.roles import colour, shape
from kdcli.report.page.svg import (
    WIDTH,
    Drawing,
    Scale,
    drawing,
    line,
    marker,
    percent,
    shorter,
    tag,
    text,
    x_axis,
)
from kdcli.report.schema import Report, imitated

LETTER = 6.2
"""About the width of one, in units of the plot."""


def confusion(found: Confusion) -> Drawing:
    """Rows are what is shown, columns what it is taken for; a cell's depth is its share."""
    names = [shorter(name, 14) for name in found.classes]
    room = min(96.0, LETTER * max(map(len, names)) + 8)
    cell = min((WIDTH - room - 0.5 * LETTER * len(names[-1])) / len(names), 32.0)
    top = 0.78 * LETTER * max(map(len, names)) + 12  # names of columns stand aslant
    marks: list[Markup] = []
    for i, (name, row) in enumerate(zip(names, found.shares, strict=True)):
        middle = top + cell * (i + 0.5)
        marks.append(text(room - 6, middle + 4, name, text_anchor="end", class_="name"))
        x = room + cell * (i + 0.5)
        turn = f"rotate(-50 {x:.1f} {top - 5:.1f})"
        marks.append(text(x, top - 5, name, transform=turn, class_="name"))
        marks += [
            _cell(room + cell * j, top + cell * i, cell, share, f"{name} → {names[j]}")
            for j, share in enumerate(row)
        ]
    return drawing(top + cell * len(names) + 2, *marks, title="Confusion matrix of the student")


def _cell(x: float, y: float, side: float, share: float | None, what: str) -> Markup:
    """Squares of small shares would be invisible: depth is the share to the power of 0.6."""
    if share is None:
        return Markup()
    box = tag(
        "rect",
        tag("title", f"{what}: {share:.1%}"),
        x=x + 0.5,
        y=y + 0.5,
        width=side - 1,
        height=side - 1,
        rx=2,
        class_="cell",
        fill_opacity=round(share**0.6, 3),
    )
    shown = f"{100 * share:.0f}"
    if side < 19 or shown == "0":
        return box
    deep = "figure onheat" if share > 0.4 else "figure"
    return box + text(x + side / 2, y + side / 2 + 4, shown, text_anchor="middle", class_=deep)


# Recall ------------------------------------------------------------------------------------------

ROW, TOP, RIGHT = 19.0, 6.0, WIDTH - 48
ALL, SOME = 24, 10
"""So many classes are drawn whole; of more the worst, and those that changed most."""


@dataclass(frozen=True)
class Recalls:
    """Which classes are drawn, and of how many."""

    classes: tuple[str, ...]
    of: int
    by_role: dict[str, dict[str, float]]
    change: dict[str, float]
    """student - teacher, or - baseline where there is no teacher."""
    against: str | None

    @property
    def whole(self) -> bool:
        return len(self.classes) == self.of


def recalls(report: Report) -> Recalls | None:
    """Of those whose recalls were measured; None where the student's were not."""
    above = imitated(report.models)
    roles = [role for role in (above, "student", "baseline") if role and role in report.models]
    by_role = {role: known for role in roles if (known := report.models[role].recall)}
    student = by_role.get("student")
    if not student:
        return None
    against = next((role for role in (above, "baseline") if role in by_role), None)
    theirs = by_role[against] if against else {}
    change = {name: value - theirs[name] for name, value in student.items() if name in theirs}
    names = sorted(student, key=lambda name: student[name])
    if len(names) > ALL:
        moved = sorted(change, key=lambda name: -abs(change[name]))
        picked = {*names[:SOME], *moved[:SOME]}
        names = [name for name in names if name in picked]
    return Recalls(tuple(names), len(student), by_role, change, against)


def recall(found: Recalls) -> Drawing:
    """A row per class, the student's worst first: a marker per role, and the change."""
    names = [shorter(name, 16) for name in found.classes]
    room = min(112.0, LETTER * max(map(len, names)) + 8)
    every = [found.by_role[role][name] for role in found.by_role for name in _known(found, role)]
    low = min(every)
    x = Scale(max(0.0, min(low - 0.03, 0.9)), 1.0, room + 6, RIGHT)
    bottom = TOP + ROW * len(names)
    marks = []
    for i, name in enumerate(found.classes):
        y = TOP + ROW * (i + 0.5)
        marks.append(text(room - 2, y + 4, names[i], text_anchor="end", class_="name"))
        marks += _row(found, name, x, y)
        if name in found.change:
            words = signed(100 * found.change[name])
            marks.append(text(WIDTH, y + 4, words, text_anchor="end", class_="figure"))
    axis = x_axis(x, TOP, bottom, "recall", percent)
    return drawing(bottom + 36, axis, *marks, title="Recall of each class")


def _known(found: Recalls, role: str) -> Sequence[str]:
    return [name for name in found.classes if name in found.by_role[role]]


def _row(found: Recalls, name: str, x: Scale, y: float) -> list[Markup]:
    values: Mapping[str, float] = {
        role: known[name] for role, known in found.by_role.items() if name in known
    }
    marks = []
    if found.against in values:
        ends = x(values[found.against or ""]), x(values["student"])
        marks.append(line(ends[0], y, ends[1], y, "between"))
    for role in sorted(values, key=lambda r: (r == "student", r != "baseline")):
        fill = "mark" if role == "student" else "hollow"
        marks.append(marker(shape(role), x(values[role]), y, 4.2, f"{fill} {colour(role)}"))
    return marks
