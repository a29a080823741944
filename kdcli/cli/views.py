"""What there is: recipes, runs, models; a look at one thing, at data, at the machine."""

from typing import Annotated

import typer

from kdcli.cli.flags import Debug, Json
from kdcli.door import door, gate


def list_recipes(json: Json = False, debug: Debug = False) -> None:
    """The shipped recipes."""
    with door(json) as console:
        from kdcli.recipe_file import describe_recipe, recipe_names
        from kdcli.screens import lists

        lists.recipes(console, {name: describe_recipe(name) for name in recipe_names()})


def list_runs(
    prune: Annotated[
        bool, typer.Option("--prune", help="Show what no finished run needs, and remove it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: do not ask.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The runs under runs/ (or $KD_RUNS), oldest first, with their size; --prune clears up."""
    with door(json) as console:
        from kdcli.inventory import inventory
        from kdcli.screens import lists

        found = inventory()
        if not prune:
            lists.runs(console, found)
            return
        from kdcli.commands.prune import disposable, remove

        items = disposable(found)
        if not json:
            lists.disposable(console, items, [folder for folder in found if folder.in_use])
        agreed = True if yes else console.confirm("Remove all of this?") if items else None
        gone = []
        for item in remove(items) if agreed else ():
            console.say(f"removed {item.path}")
            gone.append(item)
        lists.pruned(console, items, gone, agreed)


def doctor(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="What --data takes: a folder, a table, a name; default: look at the machine.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """What your data are, every image decoded; without DATA, what this machine is."""
    with door(json) as console:
        from kdcli.commands.doctor import doctor
        from kdcli.screens.doctor import checked

        result = doctor(data, progress=console)
        checked(console, result)
        return gate(console, result.data.failure if result.data else None)
