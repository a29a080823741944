"""`kd recipe`: look at a recipe, check one, print the schema."""

import json
import shlex
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Data, Debug, Json, Set, Student, Teacher

if TYPE_CHECKING:
    from kdcli.commands.recipe import Shown


def show(
    name: Annotated[str, typer.Argument(help="Name or file.", autocompletion=completion.recipes)],
    data: Data = None,
    student: Student = None,
    teacher: Teacher = None,
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Every value a run would use, and where each came from."""
    with door(json) as console:
        from kdcli.commands.recipe import show
        from kdcli.plan.ask import Ask

        ask = Ask(
            recipe=name,
            settings=tuple(set_ or ()),
            teachers=(teacher,) if teacher else (),
            student=student,
            data=data,
        )
        console.show(show(ask, console), _document, show_settings)


def check(
    name: Annotated[str, typer.Argument(help="Name or file.", autocompletion=completion.recipes)],
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say everything that is wrong with a recipe."""
    with door(json) as console:
        from kdcli.commands.recipe import check

        loaded = check(name, tuple(set_ or ()))
        show = partial(show_ok, settings=tuple(set_ or ()))
        console.show(name, lambda _: {"recipe": loaded.name, "ok": True}, show)


def schema(debug: Debug = False) -> None:
    """The JSON Schema that editors complete recipes from."""
    with door(True) as console:
        from kdcli.commands.recipe import schema

        console.json(schema())


def show_ok(console: Console, name: str, settings: tuple[str, ...]) -> None:
    """`kd recipe check`."""
    console.line(f"{name}: nothing wrong")
    changes = (word for change in settings for word in ("--set", change))
    console.next(shlex.join(["kd", "recipe", "show", name, *changes]))


def _document(found: "Shown") -> dict[str, Any]:
    settings = {s.key: {"value": s.value, "from": s.origin} for s in found.settings}
    return {"settings": settings, "teachers": found.teachers}


def show_settings(console: Console, found: "Shown") -> None:
    """`kd recipe show`."""
    rows = [
        [s.key, s.value if isinstance(s.value, str) else json.dumps(s.value), s.origin]
        for s in found.settings
    ]
    console.table(["key", "value", "from"], rows, figures=False)
    for command in found.teachers:
        console.line(f"a teacher that is trained first: {command}")
    console.next(found.command)
