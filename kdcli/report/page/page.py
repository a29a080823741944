"""report.html from a record and facts: sections into a template that escapes all it is given."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kdcli import __version__
from kdcli.core.text import counted, visible
from kdcli.report.candidates import Compared
from kdcli.report.page.compared_sections import compared_sections
from kdcli.report.page.facts import Curve, Facts
from kdcli.report.page.roles import names
from kdcli.report.page.section import Section
from kdcli.report.page.sections import sections
from kdcli.report.schema import Report

NAME = "report.html"
LARGEST = 1_000_000
"""Bytes of a page, whatever the data."""
_HERE = Path(__file__).parent
_TOO_LARGE = "left out: the page would be larger than 1 MB"


@dataclass(frozen=True)
class Page:
    """As written."""

    html: str
    sections: list[Section]

    @property
    def lacking(self) -> dict[str, str]:
        """Sections that show nothing, by title, and why."""
        return {one.title: one.lacking for one in self.sections if one.lacking}


def draw(report: Report, facts: Facts) -> Page:
    """A page of at most `LARGEST` bytes; pictures are left out, said so, where it would be more."""
    page = _drawn(report, facts)
    for what in ("attention", "wrong", "differing", "softened"):
        if len(page.html.encode()) <= LARGEST:
            break
        lacking = {**facts.lacking, what: _TOO_LARGE}
        facts = replace(facts, **{what: None}, lacking=lacking)  # type: ignore[arg-type]
        page = _drawn(report, facts)
    return page


def draw_comparison(found: Compared, curves: Mapping[str, Curve]) -> Page:
    """A page of several candidates, as small; of very many those of the front and the best."""
    for most in (100, 50, 25):
        made = compared_sections(found, curves, most)
        page = _rendered(
            made,
            title=f"{counted(len(found.candidates), 'candidate')} on {found.data}",
            verdict=found.sentence,
            footer=f"kd {__version__}. What kd compare says.",
        )
        if len(page.html.encode()) <= LARGEST:
            break
    return page


def _drawn(report: Report, facts: Facts) -> Page:
    return _rendered(
        sections(report, facts),
        title=report.run,
        verdict=report.verdict or "Not evaluated yet.",
        footer=f"kd {report.kd}. Drawn from report.json, predictions.npz and metrics.jsonl beside "
        "it.",
        names=names(report),
    )


def _rendered(made: list[Section], names: Mapping[str, str] | None = None, **texts: str) -> Page:
    template = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.jinja")
    css = "".join((_HERE / file).read_text("utf-8") for file in ("plots.css", "page.css"))
    html = template.render(sections=made, names=names or {}, css=css, **texts)
    return Page(visible(html), made)  # escaped by the template; HTML holds no control characters
