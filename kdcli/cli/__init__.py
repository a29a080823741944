"""The command line: every command of `kd` in one place. Imports no torch by itself."""

from collections.abc import Sequence
from typing import Annotated

import typer

from kdcli import __version__
from kdcli.cli import (
    compare,
    distill,
    doctor,
    evaluate,
    export,
    inspect,
    list_models,
    list_runs,
    match,
    predict,
    recipe,
    report,
    schema,
    sweep,
    train,
)
from kdcli.cli import list as lists  # the builtin stays what it is
from kdcli.cli.entry import enter

app = typer.Typer(
    name="kd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Distil a big image classifier into a small one, and measure whether the teacher helped.",
    epilog="First steps:  kd distill --teacher resnet101 --student mobilenetv3",
)
listing = typer.Typer(
    no_args_is_help=True, help="What there is: methods, models, recipes, runs, schemes."
)
recipes = typer.Typer(no_args_is_help=True, help="Look at a recipe, check one, print the schema.")


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


app.command()(train.train)
app.command()(distill.distill)
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(sweep.sweep)
app.command()(export.export)
app.command()(report.report)
app.command()(predict.predict)
app.command()(doctor.doctor)
app.command()(inspect.inspect)
app.command()(match.match)
app.command()(schema.schema)
app.add_typer(listing, name="list")
app.add_typer(recipes, name="recipe")
listing.command("methods")(lists.list_methods)
listing.command("models")(list_models.list_models)
listing.command("recipes")(lists.list_recipes)
listing.command("runs")(list_runs.list_runs)
listing.command("schemes")(lists.list_schemes)
recipes.command("show")(recipe.show)
recipes.command("check")(recipe.check)
recipes.command("schema")(recipe.schema)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kd` with these arguments (default: the process's) and return its exit code."""
    return enter(app, arguments)
