"""The command line: every command of `kd` in one place. Imports no torch by itself."""

from typing import Annotated

import typer

from kdcli import __version__
from kdcli.cli import deploy, recipe, verbs, views
from kdcli.door import enter

app = typer.Typer(
    name="kd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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


app.command()(verbs.train)
app.command()(verbs.distill)
app.command()(verbs.evaluate)
app.command()(deploy.export)
app.command()(deploy.predict)
app.command()(views.doctor)
app.command()(views.inspect)
app.command()(views.match)
app.add_typer(listing, name="list")
app.add_typer(recipes, name="recipe")
listing.command("methods")(views.list_methods)
listing.command("models")(views.list_models)
listing.command("recipes")(views.list_recipes)
listing.command("runs")(views.list_runs)
listing.command("schemes")(views.list_schemes)
recipes.command("show")(recipe.show)
recipes.command("check")(recipe.check)
recipes.command("schema")(recipe.schema)


def main(arguments: list[str] | None = None) -> int:
    """Run `kd` with these arguments (default: the process's) and return its exit code."""
    return enter(app, arguments)
