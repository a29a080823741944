"""`kd list`: what there is, as tables; models have `list_models`, runs `list_runs`."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json
from kdcli.core.examples import STUDENT, TEACHER

if TYPE_CHECKING:
    from kdcli.commands.list import MethodPart, SchemePart


def show_recipes(console: Console, found: dict[str, str]) -> None:
    """`kd list recipes`."""
    console.table(["recipe", ""], list(found.items()), figures=False)
    console.next("kd recipe show kd")


def show_methods(console: Console, found: "list[MethodPart]") -> None:
    """`kd list methods`."""
    rows = [
        [
            part.name,
            part.paper,
            part.kind,
            part.needs_in_words(),
            part.weight_in_words(),
        ]
        for part in found
    ]
    console.table(["method", "paper", "knowledge", "needs", "weight"], rows, figures=False)
    console.line("weight: beside a weight of 1 for the labels, where a recipe does not say")
    console.next(
        f"kd distill --teacher {TEACHER} --student {STUDENT} --set methods.METHOD.weight=WEIGHT"
    )


def show_schemes(console: Console, found: "list[SchemePart]") -> None:
    """`kd list schemes`."""
    rows = [
        [
            ", ".join((part.name, *part.also_called)),
            part.what,
            part.taught_by(),
            ", ".join(option.name for option in part.options) or "-",
        ]
        for part in found
    ]
    console.table(["scheme", "who imitates whom", "taught by", "options"], rows, figures=False)
    console.next("kd list recipes", "kd recipe show average")


def list_recipes(json: Json = False, debug: Debug = False) -> None:
    """The shipped recipes."""
    with door(json) as console:
        from kdcli.recipe.load import describe_recipe, recipe_names

        found = {name: describe_recipe(name) for name in recipe_names()}
        console.show(found, lambda it: {"recipes": it}, show_recipes)


def list_methods(json: Json = False, debug: Debug = False) -> None:
    """Ways to score an imitation: paper, kind of knowledge, what each needs, default weight."""
    with door(json) as console:
        from kdcli.commands.list import methods

        console.show(methods(), lambda it: {"methods": list(map(asdict, it))}, show_methods)


def list_schemes(json: Json = False, debug: Debug = False) -> None:
    """Who imitates whom: the schemes a recipe can name, and their options."""
    with door(json) as console:
        from kdcli.commands.list import schemes

        console.show(schemes(), lambda it: {"schemes": list(map(asdict, it))}, show_schemes)
