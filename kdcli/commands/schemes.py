"""What each scheme is: for `kd list schemes`, and for the page docs/schemes.md.

`python -m kdcli.commands.schemes docs/schemes.md` writes the page's generated part anew.
"""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdcli import catalog
from kdcli.commands.page import Option, linked, option_table, options_of, renewed
from kdcli.recipe_file import ALSO_CALLED
from kdcli.records import Scheme


@dataclass(frozen=True)
class SchemePart:
    """One scheme, as its class describes itself."""

    name: str
    also_called: tuple[str, ...]
    """Other names that a recipe may give it."""
    what: str
    notes: str
    """What its docstring says below the first line."""
    needs_teacher: bool
    teaches_itself: bool
    options: tuple[Option, ...]
    built_in: bool
    """Not a plug-in's."""

    def taught_by(self) -> str:
        """Who teaches: `teachers`, `itself`, both, or nobody (`-`)."""
        who = {"teachers": self.needs_teacher, "itself": self.teaches_itself}
        return ", ".join(one for one, teaches in who.items() if teaches) or "-"


def schemes() -> list[SchemePart]:
    """All of them, those of plug-ins too, by name."""
    return [_part(name, catalog.load("schemes", name)) for name in catalog.names("schemes")]


def _part(name: str, scheme: type[Scheme]) -> SchemePart:
    what, _, notes = inspect.cleandoc(scheme.__doc__ or "").partition("\n")
    return SchemePart(
        name=name,
        also_called=tuple(other for other, known in ALSO_CALLED.items() if known == name),
        what=what,
        notes=notes.strip(),
        needs_teacher=scheme.needs_teacher,
        teaches_itself=scheme.teaches_itself,
        options=tuple(options_of(scheme)),
        built_in=scheme.__module__ == f"kdcli.schemes.{name}",
    )


def markdown() -> str:
    """A section for each built-in scheme."""
    parts = [part for part in schemes() if part.built_in]
    return "\n".join(line for part in parts for line in _section(part)) + "\n"


def _section(part: SchemePart) -> Iterator[str]:
    yield from (f"### {part.name}", "", linked(part.what))
    if part.notes:
        yield from ("", linked(part.notes))
    if part.also_called:
        yield from ("", f"Also called {', '.join(f'`{name}`' for name in part.also_called)}.")
    yield from option_table(part.options)
    yield ""


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(renewed(place.read_text("utf-8"), markdown()), "utf-8")
