"""`kd recipe`: look at a recipe, check one, print the schema."""

import shlex
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

        teacher, student, changes = teacher or TEACHER, student or STUDENT, tuple(set_ or ())
        found = show(
            name, settings=changes, data=data, student=student, teacher=teacher, progress=console
        )
        taught = any(setting.key.startswith("methods.") for setting in found)
        who = ("distill", "--teacher", teacher, "--student", student)
        how = ["--recipe", name, *(word for change in changes for word in ("--set", change))]
        on = ["--data", data] if data else []
        command = shlex.join(["kd", *(who if taught else ("train", student)), *how, *on])
        lists.settings(console, found, command)


def check(
    name: Annotated[str, typer.Argument(help="Name or file.", autocompletion=completion.recipes)],
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say everything that is wrong with a recipe."""
    with door(json) as console:
        from kdcli.commands.contradictions import refuse_in_recipe
        from kdcli.recipe_file import load_recipe, refuse_idle

        loaded = load_recipe(name, tuple(set_ or ()))
        refuse_idle(loaded)
        refuse_in_recipe(loaded.recipe)
        if console.as_json:
            console.document({"recipe": loaded.name, "ok": True})
        else:
            console.line(f"{name}: nothing wrong")
            console.next(f"kd recipe show {shlex.quote(name)}")


def schema(debug: Debug = False) -> None:
    """The JSON Schema that editors complete recipes from."""
    with door(True) as console:
        from kdcli.commands.recipe import schema

        console.json(schema())
