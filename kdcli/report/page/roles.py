"""How roles look on every plot of the page: a colour by CSS class, a shape."""

from collections.abc import Mapping

from kdcli.report.schema import Report
from kdcli.report.table import heads, roles

SHAPES = {"student": "circle", "baseline": "square", "teacher": "diamond", "ensemble": "triangle"}


def names(report: Report) -> dict[str, str]:
    """What each role is called, in the order of the report's columns."""
    return dict(zip(roles(report), heads(report), strict=True))


def shape(role: str) -> str:
    """Its marker."""
    return SHAPES.get(role, "triangle")


def colour(role: str) -> str:
    """Its CSS class."""
    return role if role in SHAPES else "other"


def shown(names: Mapping[str, str], among: Mapping[str, object]) -> list[tuple[str, str]]:
    """Roles and names of those that a plot has something of."""
    return [(role, name) for role, name in names.items() if role in among]
