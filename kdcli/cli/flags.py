"""The flags that several commands share: who, on what, where."""

from pathlib import Path
from typing import Annotated

import typer

from kdcli.cli import completion

TEACHER, STUDENT = "resnet101", "mobilenetv3"
"""Of the examples."""

Recipe = Annotated[
    str, typer.Option(help="A shipped recipe's name or a file.", autocompletion=completion.recipes)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change any key of the recipe; repeatable."),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="'digits'; a folder of images (a sub-folder per class) or of IDX files; a table "
        "image,label[,split] (.csv); torch/NAME or hfds/NAME.",
    ),
]
Out = Annotated[Path | None, typer.Option(help="The run's folder; default: one under runs/.")]
Teacher = Annotated[
    str | None,
    typer.Option(
        help="timm's name, a family, a run, a model.pt, NAME=FILE of weights, hf-hub:NAME or "
        "local-dir:FOLDER.",
        autocompletion=completion.models,
    ),
]
Teachers = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        help="timm's name, a family, a run, a model.pt, NAME=FILE of weights, hf-hub:NAME or "
        "local-dir:FOLDER; repeatable: an ensemble.",
        autocompletion=completion.models,
    ),
]
Assistants = Annotated[
    list[str] | None,
    typer.Option(
        "--assistant",
        help="A model between teacher and student, taught by the one and teaching the other; "
        "repeatable, the largest first.",
        autocompletion=completion.models,
    ),
]
Peers = Annotated[
    list[str] | None,
    typer.Option(
        "--peer",
        help="A model that learns beside the student (recipes mutual, fusion); default: a copy of "
        "it; repeatable.",
        autocompletion=completion.models,
    ),
]
Student = Annotated[
    str | None,
    typer.Option(
        help="timm's name, a family's, or NAME=FILE to begin with these weights.",
        autocompletion=completion.models,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        help="The class names of foreign weights, one a line; default: those of the data."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would take (time, disk, memory), then stop.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Of weights, order and augmentation; default: 0.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Again = Annotated[bool, typer.Option("--again", help="Start afresh even if the run is finished.")]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document and nothing else.", rich_help_panel="Output"
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel="Output")
]
Min = Annotated[
    list[str] | None,
    typer.Option(
        "--min",
        metavar="KEY=VALUE",
        help="Gate: a number of the report; else exit 8.",
        rich_help_panel="Gates",
    ),
]
Max = Annotated[
    list[str] | None,
    typer.Option(
        "--max",
        metavar="KEY=VALUE",
        help="Gate: a number of the report; else exit 8.",
        rich_help_panel="Gates",
    ),
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
