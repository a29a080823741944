"""The command line: every flag of `kd`, readable in one sitting. Imports no torch by itself."""

from pathlib import Path
from typing import Annotated

import typer

from kdcli import __version__, completion
from kdcli.door import door, enter, gate

app = typer.Typer(
    name="kd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Distil a big image classifier into a small one, and measure whether the teacher helped.",
    epilog="First steps:  kd distill --teacher resnet101 --student mobilenetv3",
)
listing = typer.Typer(no_args_is_help=True, help="What there is: recipes, runs.")
recipes = typer.Typer(no_args_is_help=True, help="Look at a recipe, check one, print the schema.")
app.add_typer(listing, name="list")
app.add_typer(recipes, name="recipe")


TEACHER, STUDENT = "resnet101", "mobilenetv3"
"""Of the examples."""

# Flags that several commands share: who, on what, where ------------------------------------------

Recipe = Annotated[
    str, typer.Option(help="A shipped recipe's name or a file.", autocompletion=completion.recipes)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change any key of the recipe; repeatable."),
]
Data = Annotated[
    str | None,
    typer.Option(help="'digits', a folder of images (a sub-folder per class), or of IDX files."),
]
Out = Annotated[Path | None, typer.Option(help="The run's folder; default: one under runs/.")]
Teacher = Annotated[
    str | None,
    typer.Option(
        help="timm's name, a family, a run, or a model.pt.", autocompletion=completion.models
    ),
]
Student = Annotated[
    str | None, typer.Option(help="timm's name, or a family's.", autocompletion=completion.models)
]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Of weights, order and augmentation; default: 0.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Again = Annotated[bool, typer.Option("--again", help="Start afresh even if the run is finished.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Min = Annotated[
    list[str] | None,
    typer.Option("--min", metavar="KEY=VALUE", help="Gate: a number of the report; else exit 8."),
]
Max = Annotated[
    list[str] | None,
    typer.Option("--max", metavar="KEY=VALUE", help="Gate: a number of the report; else exit 8."),
]
Thing = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run folder or a model.pt; default: the newest finished run.",
        autocompletion=completion.runs,
        show_default=False,
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kd {__version__}")
        raise typer.Exit


@app.callback()
def _kd(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def train(
    model: Annotated[
        str, typer.Argument(help="timm's name, or a family's.", autocompletion=completion.models)
    ],
    recipe: Recipe = "supervised",
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    set_: Set = None,
    device: Device = "auto",
    again: Again = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a teacher (or any model) from labels alone."""
    with door(json) as console:
        from kdcli import screens
        from kdcli.commands.train import train

        result = train(
            model,
            recipe=recipe,
            settings=tuple(set_ or ()),
            data=data,
            out=out,
            seed=seed,
            device=device,
            again=again,
            progress=console,
        )
        screens.trained(console, result)


@app.command()
def distill(
    teacher: Teacher = None,
    student: Student = None,
    recipe: Recipe = "kd",
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    set_: Set = None,
    device: Device = "auto",
    again: Again = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Distil a teacher (trained first if there is none) into a student."""
    with door(json) as console:
        from kdcli import screens
        from kdcli.commands.distill import distill

        result = distill(
            teacher,
            student,
            recipe=recipe,
            settings=tuple(set_ or ()),
            data=data,
            out=out,
            seed=seed,
            device=device,
            again=again,
            progress=console,
        )
        screens.trained(console, result)


@app.command()
def evaluate(
    run: Thing = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many, from the run's own on.")] = 1,
    minima: Min = None,
    maxima: Max = None,
    device: Device = "auto",
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Compare a student with its teacher and an equal-size baseline (trained if there is none)."""
    with door(json) as console:
        from kdcli import screens
        from kdcli.commands.evaluate import evaluate
        from kdcli.commands.gates import missed

        result = evaluate(
            run,
            seeds=seeds,
            minima=tuple(minima or ()),
            maxima=tuple(maxima or ()),
            device=device,
            progress=console,
        )
        screens.evaluated(console, result)
        return gate(console, missed(result.gates))


@app.command()
def export(
    model: Thing = None,
    out: Annotated[
        Path | None, typer.Option(help="The ONNX file; default: model.onnx in the run's folder.")
    ] = None,
    minima: Min = None,
    maxima: Max = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Write the student as ONNX, check it against PyTorch, and report size, FLOPs and latency."""
    with door(json) as console:
        from kdcli import screens
        from kdcli.commands.export import export
        from kdcli.commands.gates import missed

        result = export(
            model,
            out=out,
            minima=tuple(minima or ()),
            maxima=tuple(maxima or ()),
            progress=console,
        )
        screens.exported(console, result)
        return gate(console, missed(result.gates))


@listing.command("recipes")
def list_recipes(json: Json = False, debug: Debug = False) -> None:
    """The shipped recipes."""
    with door(json) as console:
        from kdcli import screens
        from kdcli.recipe_file import describe_recipe, recipe_names

        screens.recipes(console, {name: describe_recipe(name) for name in recipe_names()})


@listing.command("runs")
def list_runs(json: Json = False, debug: Debug = False) -> None:
    """The runs under runs/ (or $KD_RUNS), oldest first."""
    with door(json) as console:
        from kdcli import screens
        from kdcli.runs import all_runs

        screens.runs(console, all_runs())


@recipes.command("show")
def recipe_show(
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
        from kdcli import screens
        from kdcli.commands.recipe import show

        found = show(
            name,
            settings=tuple(set_ or ()),
            data=data,
            student=student or STUDENT,
            teacher=teacher or TEACHER,
            progress=console,
        )
        screens.settings(console, found)


@recipes.command("check")
def recipe_check(
    name: Annotated[str, typer.Argument(help="Name or file.", autocompletion=completion.recipes)],
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say everything that is wrong with a recipe."""
    with door(json) as console:
        from kdcli.recipe_file import load_recipe

        loaded = load_recipe(name, tuple(set_ or ()))
        if console.as_json:
            console.document({"recipe": loaded.name, "ok": True})
        else:
            console.line(f"{name}: nothing wrong")
            console.next(f"kd recipe show {name}")


@recipes.command("schema")
def recipe_schema(debug: Debug = False) -> None:
    """The JSON Schema that editors complete recipes from."""
    with door(True) as console:
        from kdcli.commands.recipe import schema

        console.json(schema())


def main(arguments: list[str] | None = None) -> int:
    """Run `kd` with these arguments (default: the process's) and return its exit code."""
    return enter(app, arguments)
