"""Learning curves, and what each term had of the gradient."""

from collections.abc import Iterable, Sequence

from kdcli.report.page.facts import Curve, Shares
from kdcli.report.page.roles import colour, shape
from kdcli.report.page.svg import WIDTH, Drawing, Scale, framed, marker, path, spanning

LEFT, RIGHT, TOP, BOTTOM = 44.0, WIDTH - 10, 10.0, 196.0
FEW = 12
"""Epochs that are marked one by one."""


def accuracies(curves: Sequence[Curve]) -> Drawing:
    """Validation as lines, training dashed; further seeds are paler."""
    every = [v for curve in curves for v in (*curve.train, *curve.validation)]
    x = _epochs(epoch for curve in curves for epoch in curve.epochs)
    y = spanning(every, BOTTOM, TOP, 0.04)
    drawn = set[str]()
    marks = []
    for curve in curves:
        pale = " pale" if curve.role in drawn else ""
        drawn.add(curve.role)
        tint = f"{colour(curve.role)}{pale}"
        places = [x(epoch) for epoch in curve.epochs]
        if not pale:
            marks.append(path([*zip(places, map(y, curve.train), strict=True)], f"train {tint}"))
        points = [*zip(places, map(y, curve.validation), strict=True)]
        marks.append(path(points, f"curve {tint}"))
        if len(points) <= FEW and not pale:
            marks += [marker(shape(curve.role), *p, 2.6, f"mark {tint}") for p in points]
    return framed(x, y, "epoch", _whole, marks, "Accuracy on training and validation images")


def overlaid(curves: Sequence[tuple[str, Curve]]) -> Drawing:
    """Validation accuracies over each other, each by its CSS classes; the first on top."""
    x = _epochs(epoch for _, curve in curves for epoch in curve.epochs)
    y = spanning([v for _, curve in curves for v in curve.validation], BOTTOM, TOP, 0.04)
    marks = []
    for tint, curve in reversed(curves):
        points = [*zip(map(x, curve.epochs), map(y, curve.validation), strict=True)]
        marks.append(path(points, f"curve {tint}"))
        if len(points) == 1:
            marks.append(marker("circle", *points[0], 2.6, f"mark {tint}"))
    return framed(x, y, "epoch", _whole, marks, "Accuracy on validation images")


def band(number: int) -> str:
    """The CSS class of a term's colour."""
    return f"band{number % 6}"


def gradient(shares: Shares) -> Drawing:
    """Bands that add up to the whole gradient, the labels' term at the bottom."""
    x, y = _epochs(shares.epochs), Scale(0.0, 1.0, BOTTOM, TOP)
    places = [x(epoch) for epoch in shares.epochs]
    if len(places) == 1:  # a band has two ends
        places = [LEFT, RIGHT]
    under = [0.0] * len(places)
    marks = []
    for i, values in enumerate(shares.terms.values()):
        row = values if len(values) == len(places) else values * 2
        over = [low + value for low, value in zip(under, row, strict=True)]
        upper = [*zip(places, map(y, over), strict=True)]
        lower = [*zip(places, map(y, under), strict=True)]
        marks.append(path([*upper, *reversed(lower)], f"band {band(i)}", closed=True))
        under = over
    return framed(x, y, "epoch", _whole, marks, "Each term's share of the student's gradient")


def _epochs(epochs: Iterable[int]) -> Scale:
    found = list(epochs)
    low, high = min(found), max(found)
    return Scale(low, high if high > low else low + 1, LEFT, RIGHT)


def _whole(value: float) -> str:
    """Nothing between two epochs."""
    return f"{value:.0f}" if value == round(value) else ""
