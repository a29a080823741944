"""What a section of the page holds; the template knows how each kind of it looks."""

from dataclasses import dataclass

from markupsafe import Markup

from kdcli.report.page.facts import Attention, SoftTargets, Tile
from kdcli.report.page.svg import Drawing, line, marker


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    shape: str
    """Of `svg.marker`, or `line`."""
    colour: str

    @property
    def drawn(self) -> Markup:
        """For a box of 12 around 0."""
        if self.shape == "line":
            return line(-6, 0, 6, 0, f"curve {self.colour}")
        return marker(self.shape, 0.0, 0.0, 4.5, f"mark {self.colour}")


@dataclass(frozen=True)
class Plot:
    """A drawing, its heading, and one sentence on what one sees."""

    svg: Drawing
    heading: str
    caption: str
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Table:
    """Heads and rows; all columns but the first hold figures."""

    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Cell:
    """Of a matrix."""

    words: str
    """Empty on the diagonal."""
    look: str = ""
    """`ahead` or `behind` where that is decided, else nothing."""
    title: str = ""


@dataclass(frozen=True)
class Matrix:
    """Each against each, in one order; columns are called by the numbers of the rows."""

    names: list[str]
    rows: list[list[Cell]]


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
    matrix: Matrix | None = None
    looks: Attention | None = None
    softened: SoftTargets | None = None
    commands: tuple[str, ...] = ()
    details: tuple[Details, ...] = ()
    half: bool = False
    """Beside its neighbour, where there is room."""
    lacking: str | None = None
