"""What there is: recipes, runs, models; a look at one thing, at data, at the machine."""

from kdcli.cli.flags import Debug, Json
from kdcli.door import door


def list_recipes(json: Json = False, debug: Debug = False) -> None:
    """The shipped recipes."""
    with door(json) as console:
        from kdcli.recipe_file import describe_recipe, recipe_names
        from kdcli.screens import lists

        lists.recipes(console, {name: describe_recipe(name) for name in recipe_names()})


def list_runs(json: Json = False, debug: Debug = False) -> None:
    """The runs under runs/ (or $KD_RUNS), oldest first."""
    with door(json) as console:
        from kdcli.runs import all_runs
        from kdcli.screens import lists

        lists.runs(console, all_runs())
