"""Whether answers are as often right as they are sure: a reliability diagram."""

import math
from collections.abc import Mapping, Sequence

from kdcli.report.page.facts import BINS, Bin
from kdcli.report.page.roles import colour, shape
from kdcli.report.page.svg import (
    WIDTH,
    Drawing,
    Scale,
    drawing,
    line,
    marker,
    path,
    percent,
    tag,
    x_axis,
    y_axis,
)

LEFT, RIGHT, TOP = 44.0, WIDTH - 12, 10.0
LEAST = 0.01
"""Share of all answers below which a bin tells more of chance than of the model."""


def reliability(roles: Mapping[str, Sequence[Bin]]) -> Drawing:
    """Accuracy against confidence."""
    bottom = 246.0
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, 1.0, bottom, TOP)
    marks = [line(x(0), y(0), x(1), y(1), "zero")]
    for role, bins in roles.items():
        points = [(x(one.confidence), y(one.accuracy)) for one in bins if one.share >= LEAST]
        marks.append(path(points, f"curve thin {colour(role)}"))
        marks += [marker(shape(role), *p, 3.6, f"mark {colour(role)}") for p in points]
    return drawing(
        bottom + 36,
        x_axis(x, TOP, bottom, "confidence", percent),
        y_axis(y, LEFT, RIGHT, percent),
        *marks,
        title="Accuracy against confidence",
    )


def confidences(roles: Mapping[str, Sequence[Bin]]) -> Drawing:
    """The share of answers by confidence, a bar per role side by side."""
    bottom = 246.0
    most = max(one.share for bins in roles.values() for one in bins)
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, most * 1.05, bottom, TOP)
    wide = (x(1) - x(0)) / BINS
    bar = 0.84 * wide / len(roles)
    marks = [
        tag(
            "rect",
            x=x(0) + wide * (_place(one) + 0.08) + bar * i,
            y=y(one.share),
            width=bar,
            height=bottom - y(one.share),
            class_=f"bar {colour(role)}",
        )
        for i, (role, bins) in enumerate(roles.items())
        for one in bins
    ]
    return drawing(
        bottom + 36,
        x_axis(x, TOP, bottom, "confidence", percent),
        y_axis(y, LEFT, RIGHT, percent),
        *marks,
        title="How often models are how sure",
    )


def _place(one: Bin) -> int:
    """Of its bin, from 0: the mean of those in it lies in it."""
    return min(BINS - 1, max(0, math.ceil(one.confidence * BINS - 1e-9) - 1))
