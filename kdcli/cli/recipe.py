"""`kd recipe`: look at a recipe, check one, print the schema."""

import json
import shlex
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import STUDENT, TEACHER, Data, Debug, Json, Set, Student, Teacher

if TYPE_CHECKING:
    from kdcli.commands.recipe import Setting


def show(
    name: Annotated[str, typer.Argument(help="Name or file.", autocompletion=completion.recipes)],
    data: Data = None,
    student: Student = STUDENT,
    teacher: Teacher = TEACHER,
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Every value a run would use, and where each came from."""
    with door(json) as console:
        from kdcli.commands.recipe import show

        teacher, student, changes = teacher or TEACHER, student or STUDENT, tuple(set_ or ())
        found = show(
            name, settings=changes, data=data, student=student, teacher=teacher, progress=console
        )
        taught = any(setting.key.startswith("methods.") for setting in found)
        who = ("distill", "--teacher", teacher, "--student", student)
        how = ["--recipe", name, *(word for change in changes for word in ("--set", change))]
        on = ["--data", data] if data else []
        command = shlex.join(["kd", *(who if taught else ("train", student)), *how, *on])
        console.show(found, _document, partial(show_settings, command=command))


def check(
    name: Annotated[str, typer.Argument(help="Name or file.", autocompletion=completion.recipes)],
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say everything that is wrong with a recipe."""
    with door(json) as console:
        from kdcli.recipe.conflicts import refuse_in_recipe
        from kdcli.recipe.load import load_recipe, refuse_idle

        loaded = load_recipe(name, tuple(set_ or ()))
        refuse_idle(loaded)
        refuse_in_recipe(loaded.recipe)
        console.show(name, lambda _: {"recipe": loaded.name, "ok": True}, show_ok)


def schema(debug: Debug = False) -> None:
    """The JSON Schema that editors complete recipes from."""
    with door(True) as console:
        from kdcli.commands.recipe import schema

        console.json(schema())


def show_ok(console: Console, name: str) -> None:
    """`kd recipe check`."""
    console.line(f"{name}: nothing wrong")
    console.next(f"kd recipe show {shlex.quote(name)}")


def _document(found: "list[Setting]") -> dict[str, Any]:
    return {"settings": {s.key: {"value": s.value, "from": s.origin} for s in found}}


def show_settings(console: Console, found: "list[Setting]", command: str) -> None:
    """`kd recipe show`; `command` would use these settings."""
    rows = [
        [s.key, s.value if isinstance(s.value, str) else json.dumps(s.value), s.origin]
        for s in found
    ]
    console.table(["key", "value", "from"], rows, figures=False)
    console.next(command)
