"""What a section of the page holds; the template knows how each kind of it looks."""

from dataclasses import dataclass

from markupsafe import Markup

from kdcli.report.page.facts import Attention, SoftTargets, Tile


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    shape: str
    colour: str


@dataclass(frozen=True)
class Plot:
    """A drawing, its heading, and one sentence on what one sees."""

    svg: Markup
    heading: str
    caption: str
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Table:
    """Heads and rows; all columns but the first hold figures."""

    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Details:
    """What is folded away."""

    heading: str
    table: Table | None = None
    lines: tuple[str, ...] = ()
    text: str | None = None


@dataclass(frozen=True)
class Section:
    """One of the page; `lacking` says why there is nothing in it."""

    id: str
    title: str
    lead: str = ""
    table: Table | None = None
    lines: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    tiles: tuple[Tile, ...] = ()
    looks: Attention | None = None
    softened: SoftTargets | None = None
    commands: tuple[str, ...] = ()
    details: tuple[Details, ...] = ()
    half: bool = False
    """Beside its neighbour, where there is room."""
    lacking: str | None = None
