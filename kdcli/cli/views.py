"""What there is: recipes, methods, runs, models; a look at one thing, at data, at the machine."""

from typing import Annotated

import typer

from kdcli import completion
from kdcli.cli.flags import Data, Debug, Json, Recipe, Set, Student, Teacher
from kdcli.door import door, gate


def list_recipes(json: Json = False, debug: Debug = False) -> None:
    """The shipped recipes."""
    with door(json) as console:
        from kdcli.recipe_file import describe_recipe, recipe_names
        from kdcli.screens import lists

        lists.recipes(console, {name: describe_recipe(name) for name in recipe_names()})


def list_methods(json: Json = False, debug: Debug = False) -> None:
    """Ways to score an imitation: paper, kind of knowledge, what each needs, default weight."""
    with door(json) as console:
        from kdcli.commands.methods import methods
        from kdcli.screens import lists

        lists.methods(console, methods())


def list_schemes(json: Json = False, debug: Debug = False) -> None:
    """Who imitates whom: the schemes a recipe can name, and their options."""
    with door(json) as console:
        from kdcli.commands.schemes import schemes
        from kdcli.screens import lists

        lists.schemes(console, schemes())


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
        from kdcli.commands.prune import disposable, expected, remove

        items = disposable(found)
        if not json:
            busy = [folder for folder in found if folder.in_use]
            lists.disposable(console, items, busy, expected(found))
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


def list_models(
    max_ms: Annotated[
        str | None,
        typer.Option(
            metavar="MS",
            help="Milliseconds of one image in onnxruntime, one thread, here: measured for what "
            "keeps to the other limits.",
        ),
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="N", help="Weights, as in 5e6 or 5M.")
    ] = None,
    max_macs: Annotated[
        str | None, typer.Option(metavar="N", help="Multiply-accumulates of one image, as in 300M.")
    ] = None,
    size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels of a side.")] = 224,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only models that timm has weights for.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All of timm; default: families for small devices.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Which students fit: parameters, MACs, latency on this machine, licence of the weights."""
    with door(json) as console:
        from kdcli.commands.models import Limits, list_models, parse_count, parse_ms
        from kdcli.screens.models import models

        limits = Limits(
            max_params=parse_count("--max-params", max_params),
            max_macs=parse_count("--max-macs", max_macs),
            max_ms=parse_ms(max_ms),
            pretrained=pretrained,
            size=size,
            all=everything,
        )
        models(console, list_models(limits, console))


def inspect(
    thing: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RUN|FILE",
            help="timm's name, a family's, a run folder, a model.pt, an .onnx file, NAME=FILE or "
            "local-dir:FOLDER.",
            autocompletion=completion.things,
        ),
    ],
    data: Data = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """What a model is: costs, classes, licence, history, and its answers softened."""
    with door(json) as console:
        from kdcli.commands.inspect import inspect
        from kdcli.commands.soften import prepare
        from kdcli.screens.inspect import inspected

        found = inspect(thing, console)
        inspected(console, found, prepare(found, data, console))


def match(
    teacher: Teacher = None,
    student: Student = None,
    recipe: Recipe = "kd",
    data: Data = None,
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Which stage of a student answers which of a teacher, and which methods that allows."""
    with door(json) as console:
        from kdcli.commands.match import match
        from kdcli.screens.match import matched

        settings = tuple(set_ or ())
        found = match(
            teacher, student, recipe=recipe, settings=settings, data=data, progress=console
        )
        matched(console, found, data)
