"""What each method and scheme is: for `kd list methods | schemes`, and for their pages in docs/."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from kdcli.core import registry
from kdcli.core.method import Method
from kdcli.core.scheme import Scheme
from kdcli.recipe.load import ALSO_CALLED

KINDS = ("response", "feature", "relation")
"""In the order in which they are shown."""


def values(schema: dict[str, Any]) -> str:
    """What a key takes, from its JSON Schema: `number > 0`, `joint or staged`."""
    if "anyOf" in schema:
        return " or ".join(values(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(str(value) for value in schema["enum"])
    bounds = [f"{sign} {schema[key]:g}" for key, sign in BOUNDS.items() if key in schema]
    return " ".join([str(schema.get("const", schema.get("type", "value"))), *bounds])


@dataclass(frozen=True)
class Option:
    """One key of a method (beside `weight`) or of a scheme."""

    name: str
    values: str
    """What it takes, in words."""
    default: Any
    what: str


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
    found = [
        _method_part(name, registry.load("methods", name)) for name in registry.names("methods")
    ]
    return sorted(found, key=lambda part: (_rank(part.kind), part.name))


def _method_part(name: str, method: type[Method]) -> MethodPart:
    paper, _, notes = inspect.cleandoc(method.__doc__ or "").partition("\n")
    return MethodPart(
        name=name,
        paper=paper,
        notes=notes.strip(),
        kind=method.kind,
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


def options_of(kind: type[BaseModel]) -> Iterator[Option]:
    """What a recipe can set of a method or scheme."""
    for name, schema in kind.model_json_schema().get("properties", {}).items():
        what = " ".join(schema.get("description", "").split())
        yield Option(name, values(schema), schema.get("default"), what)


BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
"""JSON Schema's words for them, as signs."""


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
    return [
        _scheme_part(name, registry.load("schemes", name)) for name in registry.names("schemes")
    ]


def _scheme_part(name: str, scheme: type[Scheme]) -> SchemePart:
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
