"""`kd schema`: what programs that read kd's JSON may rely on."""

from typing import Annotated

import typer

from kdcli.cli.entry import door
from kdcli.cli.flags import Debug


def schema(
    document: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]",
            help="report.json, or a command whose --json it is: evaluate, list runs, ...; default: "
            "all of them.",
            show_default=False,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """The JSON Schema of report.json and of what each command prints with --json."""
    with door(True) as console:
        from kdcli.commands.schema import schema_of, schemas

        console.json(schema_of(" ".join(document)) if document else schemas())
