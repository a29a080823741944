"""Whether answers are as often right as they are sure: a reliability diagram."""

import math
from collections.abc import Mapping, Sequence

from kdcli.report.page.facts import BINS, Bin
from kdcli.report.page.roles import colour, shape
from kdcli.report.page.svg import (
    WIDTH,
    Drawing,
    Scale,
    framed,
    line,
    marker,
    path,
    percent,
    tag,
)

LEFT, RIGHT, TOP, BOTTOM = 44.0, WIDTH - 12, 10.0, 246.0
LEAST = 0.01
"""Share of all answers below which a bin tells more of chance than of the model."""


def reliability(roles: Mapping[str, Sequence[Bin]]) -> Drawing:
    """Accuracy against confidence."""
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, 1.0, BOTTOM, TOP)
    marks = [line(x(0), y(0), x(1), y(1), "zero")]
    for role, bins in roles.items():
        points = [(x(one.confidence), y(one.accuracy)) for one in bins if one.share >= LEAST]
        marks.append(path(points, f"curve thin {colour(role)}"))
        marks += [marker(shape(role), *p, 3.6, f"mark {colour(role)}") for p in points]
    return framed(x, y, "confidence", percent, marks, "Accuracy against confidence")


def confidences(roles: Mapping[str, Sequence[Bin]]) -> Drawing:
    """The share of answers by confidence, a bar per role side by side."""
    most = max(one.share for bins in roles.values() for one in bins)
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, most * 1.05, BOTTOM, TOP)
    wide = (x(1) - x(0)) / BINS
    bar = 0.84 * wide / len(roles)
    marks = [
        tag(
            "rect",
            x=x(0) + wide * (_place(one) + 0.08) + bar * i,
            y=y(one.share),
            width=bar,
            height=BOTTOM - y(one.share),
            class_=f"bar {colour(role)}",
        )
        for i, (role, bins) in enumerate(roles.items())
        for one in bins
    ]
    return framed(x, y, "confidence", percent, marks, "How often models are how sure")


def _place(one: Bin) -> int:
    """Of its bin, from 0: the mean of those in it lies in it."""
    return min(BINS - 1, max(0, math.ceil(one.confidence * BINS - 1e-9) - 1))
