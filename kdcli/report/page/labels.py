"""Names beside the points of a plot, where they cover least."""

from collections.abc import Sequence

from markupsafe import Markup

from kdcli.report.page.svg import text

LETTER = 6.0
"""About the width of one."""
CLOSE = 12.0
"""Square units of a name that may be covered."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
_PLACES = (
    *((9, 4, "start"), (-9, 4, "end"), (0, -9, "middle"), (0, 17, "middle")),
    *((9, -7, "start"), (9, 15, "start"), (-9, -7, "end"), (-9, 15, "end")),
    *((9, -18, "start"), (9, 26, "start"), (-9, -18, "end"), (-9, 26, "end")),
)
"""From the point: where its name may stand, the best first."""


def labels(
    points: Sequence[tuple[str, float, float]],
    taken: Sequence[Box],
    frame: Box,
    all_of_them: bool = True,
) -> list[Markup]:
    """A name for each `(name, x, y)`, inside the frame where possible, beside what is `taken` and
    the names before it; or for those alone that have the room."""
    covered, found = list(taken), []
    for words, x, y in points:
        boxes = [_box(x + dx, y + dy, words, anchor) for dx, dy, anchor in _PLACES]
        costs = [_over(box, covered) + 100 * _outside(box, frame) for box in boxes]
        best = costs.index(min(costs))
        if not all_of_them and costs[best] > CLOSE:
            continue
        covered.append(boxes[best])
        dx, dy, anchor = _PLACES[best]
        found.append(text(x + dx, y + dy, words, text_anchor=anchor, class_="name"))
    return found


def _box(x: float, y: float, words: str, anchor: str) -> Box:
    wide = LETTER * len(words)
    left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
    return left, y - 9, left + wide, y + 2


def _over(box: Box, taken: Sequence[Box]) -> float:
    """The area of it that lies on something."""
    return sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )


def _outside(box: Box, frame: Box) -> float:
    """How far it stands out."""
    sides = (frame[0] - box[0], frame[1] - box[1], box[2] - frame[2], box[3] - frame[3])
    return sum(max(0.0, side) for side in sides)
