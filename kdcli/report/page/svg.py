"""Elements of SVG, scales and axes; pure. Colours are CSS classes, so that a theme may change them.

Plots are `WIDTH` wide in their own units: as wide as a phone, where text keeps its size.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 360.0

Words = Callable[[float], str]
"""How a number stands at an axis."""


def tag(name: str, *inside: object, **attributes: object) -> Markup:
    """An element. Texts inside are escaped, elements are not; `_` in an attribute's name stands for
    `-`, one at its end for nothing; None leaves it out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{said}>{Markup().join(map(escape, inside))}</{name}>")  # escaped above


def _plain(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


@dataclass(frozen=True)
class Drawing:
    """A plot; in a page as it is, or a part of another."""

    height: float
    inside: Markup
    title: str
    """For who cannot see it."""

    def __html__(self) -> str:
        """What a template shows."""
        return tag(
            "svg",
            tag("title", self.title),
            self.inside,
            viewBox=f"0 0 {WIDTH:g} {self.height:g}",
            role="img",
            xmlns="http://www.w3.org/2000/svg",
        )

    def at(self, x: float, y: float) -> Markup:
        """Its upper left corner there."""
        return tag("g", self.inside, transform=f"translate({x:g} {y:g})")


UNDER = 36.0
"""Below a plot, for its axis."""


def drawing(height: float, *inside: object, title: str) -> Drawing:
    """Of elements."""
    return Drawing(height, Markup().join(map(escape, inside)), title)


def text(x: float, y: float, words: object, **attributes: object) -> Markup:
    """Words that begin (or end, by `text_anchor`) at a point."""
    return tag("text", words, x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight one."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: list[tuple[float, float]], class_: str, closed: bool = False) -> Markup:
    """A line through points; `closed`: an area."""
    d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
    return tag("path", d=d, class_=class_)


def marker(shape: str, x: float, y: float, r: float, class_: str) -> Markup:
    """`circle`, `square`, `diamond` or `triangle`: shapes tell apart what colours may not."""
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=r, class_=class_)
    corners = {
        "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
        "diamond": [(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)],
        "triangle": [(0, -1.2), (1.1, 0.85), (-1.1, 0.85)],
    }[shape]
    return path([(x + dx * r, y + dy * r) for dx, dy in corners], class_, closed=True)


# Scales ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """From numbers between `low` and `high` to places between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (here - low) / (high - low)

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers inside."""
        found = _decades(self.low, self.high) if self.log else []
        found = [value for value in found if self.low <= value <= self.high]
        return found if len(found) > 1 else _steps(self.low, self.high, 3 if self.log else about)


def spanning(
    values: list[float], start: float, end: float, pad: float = 0.08, log: bool = False
) -> Scale:
    """A scale that holds all values, with some air at both ends; of one value, around it."""
    low, high = min(values), max(values)
    if log:
        air = max((high / low) ** pad, 1.3)
        return Scale(low / air, high * air, start, end, log=True)
    air = (high - low) * pad or 0.05 * abs(high) or 0.05
    return Scale(low - air, high + air, start, end)


def _steps(low: float, high: float, about: int) -> list[float]:
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """1, 2, 5 of each power of ten; of many powers the ones alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    firsts = (1,) if math.log10(high / low) > 2.5 else (1, 2, 5)
    return [n * 10.0**power for power in powers for n in firsts]


# Axes --------------------------------------------------------------------------------------------


def x_axis(scale: Scale, top: float, bottom: float, title: str, words: Words) -> Markup:
    """Ticks, their numbers, thin lines up to `top`, and what it is."""
    marks = [
        Markup().join(
            (
                line(scale(v), top, scale(v), bottom, "grid"),
                text(scale(v), bottom + 14, words(v), text_anchor="middle", class_="tick"),
            )
        )
        for v in scale.ticks()
    ]
    middle = (scale.start + scale.end) / 2
    name = text(middle, bottom + 30, title, text_anchor="middle", class_="axis")
    return Markup().join([*marks, name])


def y_axis(scale: Scale, left: float, right: float, words: Words, about: int = 5) -> Markup:
    """Ticks, their numbers, thin lines to `right`; what it is stands above the plot."""
    return Markup().join(
        part
        for v in scale.ticks(about)
        for part in (
            line(left, scale(v), right, scale(v), "grid"),
            text(left - 6, scale(v) + 3.5, words(v), text_anchor="end", class_="tick"),
        )
    )


def framed(
    x: Scale, y: Scale, name: str, words: Words, marks: Iterable[object], title: str
) -> Drawing:
    """Shares against whatever `name` and `words` say: axes around marks."""
    axes = x_axis(x, y.end, y.start, name, words), y_axis(y, x.start, x.end, percent)
    return drawing(y.start + UNDER, *axes, *marks, title=title)


def percent(value: float) -> str:
    """`85%`, `84.5%`: as exact as its tick."""
    return f"{100 * value:.4g}%"


def shorter(name: str, most: int = 18) -> str:
    """A name as far as there is room: names that begin alike often differ at their end."""
    end = most // 2
    return name if len(name) <= most else f"{name[: most - end - 1]}…{name[-end:]}"
