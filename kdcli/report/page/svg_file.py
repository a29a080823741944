"""Accuracy against size and time as one SVG file: no style sheet beside it, legible anywhere."""

import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from markupsafe import Markup

from kdcli.core.text import counted, visible
from kdcli.report.candidates import Compared
from kdcli.report.page.candidate_plots import best_first, trade_offs
from kdcli.report.page.labels import LETTER
from kdcli.report.page.section import Key
from kdcli.report.page.svg import WIDTH, tag, text

BETWEEN, ABOVE, BELOW, LINE = 40.0, 54.0, 14.0, 15.0
"""Around and between plots; from one line of words to the next."""
MOST = 100
"""Points."""
CHARACTERS = 66
"""Of a line below a plot."""
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif"


def svg_file(found: Compared) -> str:
    """The plots of the page side by side, on paper of their own, with what the page says below."""
    plots = trade_offs(found, best_first(found, MOST))
    lines = [wrap(plot.caption, CHARACTERS) for plot in plots]
    tall = max(plot.svg.height for plot in plots)
    height = ABOVE + tall + LINE * max(map(len, lines)) + 2 * BELOW + LINE
    width = BETWEEN + (WIDTH + BETWEEN) * len(plots)
    marks = [tag("rect", width=width, height=height, class_="paper")]
    for i, (plot, told) in enumerate(zip(plots, lines, strict=True)):
        left = BETWEEN + (WIDTH + BETWEEN) * i
        marks += [
            text(left, 26.0, plot.heading, class_="strong"),
            *_keys(plot.keys, left, 44.0),
            plot.svg.at(left, ABOVE),
            *(
                text(left, ABOVE + plot.svg.height + LINE * (n + 1), line, class_="axis")
                for n, line in enumerate(told)
            ),
        ]
    shown = f"{counted(len(found.candidates), 'candidate')}, {found.test_images:,} test images"
    foot = text(BETWEEN, height - BELOW, f"{shown} of {found.data}.", class_="axis")
    drawn = tag(
        "svg",
        tag("title", found.sentence),
        tag("style", Markup(_styles())),  # of this package alone
        *marks,
        foot,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        style=_FONT,
        xmlns="http://www.w3.org/2000/svg",
    )
    return visible(f"{drawn}\n")  # XML holds no control characters


def _keys(keys: Sequence[Key], x: float, y: float) -> list[Markup]:
    """In a row."""
    marks = []
    for key in keys:
        marks.append(tag("g", key.drawn, transform=f"translate({x + 5:g} {y - 4:g})"))
        marks.append(text(x + 15, y, key.name, class_="axis"))
        x += 32 + LETTER * len(key.name)
    return marks


def _styles() -> str:
    """Those of the plots on the page, with plain colours in place of names, which few programs but
    browsers know; dark where a browser says so."""
    sheet = Path(__file__).with_name("plots.css").read_text("utf-8")
    names = re.compile(r"--([\w-]+): ([^;]+);")
    light, dark = (
        dict(names.findall(part)) for part in re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    )
    rules = f"{sheet[sheet.index('svg text') :]}.paper {{ fill: var(--paper); }}\n"
    return (
        f"{_plain(rules, light)}"
        f"@media screen and (prefers-color-scheme: dark) {{\n{_plain(rules, dark)}}}\n"
    )


def _plain(rules: str, colours: dict[str, str]) -> str:
    for name, colour in colours.items():
        rules = rules.replace(f"var(--{name})", colour)
    return rules
