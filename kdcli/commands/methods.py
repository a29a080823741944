"""What each method is: for `kd list methods`, and for the page docs/methods.md.

`python -m kdcli.commands.methods docs/methods.md` writes the page's generated part anew.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdcli import catalog
from kdcli.commands.page import Option, linked, option_table, options_of, renewed
from kdcli.commands.schemes import schemes
from kdcli.records import Method

KINDS = ("response", "feature", "relation")
"""In the order in which they are shown."""


@dataclass(frozen=True)
class MethodPart:
    """One method, as its class describes itself."""

    name: str
    paper: str
    notes: str
    """What its docstring says below the paper."""
    kind: str
    needs: tuple[str, ...]
    """Of student and teacher: fields of Outputs."""
    student_needs: tuple[str, ...]
    """Of the student alone."""
    needs_teacher: bool
    learns: bool
    """It trains modules of its own beside the student."""
    default_weight: float
    weight_source: str
    options: tuple[Option, ...]
    built_in: bool
    """Not a plug-in's."""

    def weight_in_words(self) -> str:
        """The default, in three decimals."""
        return f"{round(self.default_weight, 3):g}"

    def needs_in_words(self) -> str:
        """`features; stages of the student; learns a module of its own`."""
        words = [", ".join(self.needs)] if self.needs else []
        if self.student_needs:
            words.append(f"{', '.join(self.student_needs)} of the student")
        if not self.needs_teacher:
            words.append("no teacher")
        if self.learns:
            words.append("learns a module of its own")
        return "; ".join(words)


def methods() -> list[MethodPart]:
    """All of them, those of plug-ins too, by kind and name."""
    found = [_part(name, catalog.load("methods", name)) for name in catalog.names("methods")]
    return sorted(found, key=lambda part: (_rank(part.kind), part.name))


def _part(name: str, method: type[Method]) -> MethodPart:
    paper, _, notes = inspect.cleandoc(method.__doc__ or "").partition("\n")
    return MethodPart(
        name=name,
        paper=paper,
        notes=notes.strip(),
        kind=getattr(method, "kind", "-"),  # a plug-in may be silent about itself
        needs=tuple(sorted(method.needs)),
        student_needs=tuple(sorted(method.student_needs)),
        needs_teacher=method.needs_teacher,
        learns=method.adapter is not Method.adapter,
        default_weight=method.default_weight,
        weight_source=getattr(method, "weight_source", "-"),
        options=tuple(options_of(method)),
        built_in=method.__module__ == f"kdcli.methods.{name}",
    )


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


# The page ----------------------------------------------------------------------------------------


def markdown() -> str:
    """A table of the built-in methods, one of the schemes they go with, a section for each."""
    parts = [part for part in methods() if part.built_in]
    rows = [
        f"| [`{p.name}`](#{p.name}) | {p.kind} | {linked(p.paper)} | {p.weight_in_words()} |"
        for p in parts
    ]
    head = ["| method | knowledge | paper | weight |", "|---|---|---|---:|"]
    sections = (line for part in parts for line in _section(part))
    return "\n".join([*head, *rows, "", *_with_schemes(parts), *sections]) + "\n"


def _with_schemes(parts: list[MethodPart]) -> Iterator[str]:
    """What goes with what, as tiny models show it."""
    from kdcli.commands.grid import table  # timm, of which `kd list methods` has no need

    yield "With which scheme each goes, tried with teachers and students that have all it reads:"
    yield ""
    built_in = [scheme.name for scheme in schemes() if scheme.built_in]
    yield from table([part.name for part in parts], built_in)


def _section(part: MethodPart) -> Iterator[str]:
    yield from ("", f"### {part.name}", "", f"{linked(part.paper)}")
    if part.notes:
        yield from ("", part.notes)
    yield from ("", f"- Knowledge: {part.kind}. Needs: {part.needs_in_words()}.")
    yield f"- Weight: {part.weight_in_words()} ({part.weight_source})."
    yield from option_table(part.options)
    for signature, doc in _formulas(part.name):
        yield from ("", "```text", signature, "", doc, "```")


def _formulas(name: str) -> Iterator[tuple[str, str]]:
    """Signature and docstring of the method's pure functions."""
    module = importlib.import_module(f"kdcli.methods.{name}")
    for key, value in vars(module).items():
        if key.endswith("_loss") and inspect.isfunction(value):
            given = inspect.signature(value).parameters.values()
            bare = ", ".join(str(one.replace(annotation=inspect.Parameter.empty)) for one in given)
            yield f"{key}({bare})", inspect.getdoc(value) or ""


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(renewed(place.read_text("utf-8"), markdown()), "utf-8")
