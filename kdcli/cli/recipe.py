"""`kd recipe`: look at a recipe, check one, print the schema."""

from typing import Annotated

import typer

from kdcli import completion
from kdcli.cli.flags import STUDENT, TEACHER, Data, Debug, Json, Set, Student, Teacher
from kdcli.door import door


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
        from kdcli.screens import lists

        found = show(
            name,
            settings=tuple(set_ or ()),
            data=data,
            student=student or STUDENT,
            teacher=teacher or TEACHER,
            progress=console,
        )
        lists.settings(console, found)


def check(
    name: Annotated[str, typer.Argument(help="Name or file.", autocompletion=completion.recipes)],
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say everything that is wrong with a recipe."""
    with door(json) as console:
        from kdcli.recipe_file import load_recipe, refuse_idle

        loaded = load_recipe(name, tuple(set_ or ()))
        refuse_idle(loaded)
        if console.as_json:
            console.document({"recipe": loaded.name, "ok": True})
        else:
            console.line(f"{name}: nothing wrong")
            console.next(f"kd recipe show {name}")


def schema(debug: Debug = False) -> None:
    """The JSON Schema that editors complete recipes from."""
    with door(True) as console:
        from kdcli.commands.recipe import schema

        console.json(schema())
