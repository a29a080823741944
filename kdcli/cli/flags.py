"""The flags that several commands share: who, on what, where."""

from pathlib import Path
from typing import Annotated

import typer

from kdcli.cli import completion
from kdcli.report import choices
from kdcli.runs import layout

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
Details = Annotated[
    bool, typer.Option("--details", help="All figures here, not in the report alone.")
]
Moved = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Where the data of the run lie now; the same images. Default: where they were.",
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
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1, mps; of several processes cuda:0,cuda:1.")
]
Processes = Annotated[
    int | None,
    typer.Option(help="Train in so many processes on this machine, each with a share of a batch."),
]
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

NoTrain = Annotated[
    bool, typer.Option("--no-train", help="Exit 3 where something would have to be trained first.")
]

# kd export ---------------------------------------------------------------------------------------

FILE, SMALLER, TIMING = "The file", "Smaller numbers", "Timing"
"""Panels of its help."""

Which = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Another of the run's models: exit_1, peer_0, ...; default: the one that ships.",
    ),
]
ExportOut = Annotated[
    Path | None,
    typer.Option(help="A folder, or one file; default: the folder export (or timm) in the run's."),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Of somebody else's weights (weights.pth): timm's name of their model.",
        autocompletion=completion.models,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(min=8, help="Of somebody else's weights: the pixels of a side they are fed."),
]
Format = Annotated[
    layout.Format,
    typer.Option(
        "--format",
        help="onnx; a folder for timm and the Hub; or torch.export's model.pt2.",
        rich_help_panel=FILE,
    ),
]
Input = Annotated[
    choices.InputKind,
    typer.Option(
        "--input",
        help="What the file takes: normalised floats and gives logits, or pixels as in an image "
        "file and gives probabilities.",
        rich_help_panel=FILE,
    ),
]
Resize = Annotated[
    bool,
    typer.Option(
        "--resize",
        help="With --input pixels: images of any size, cut to size in the graph.",
        rich_help_panel=FILE,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Always so many images at a time; default: any number.",
        rich_help_panel=FILE,
    ),
]
Opset = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Version of ONNX's operators, as the target's compiler knows them; default: the "
        "exporter's own.",
        rich_help_panel=FILE,
    ),
]
Int8 = Annotated[
    bool,
    typer.Option(
        "--int8",
        help="Another file in 8-bit integers, calibrated on training images, chosen on "
        "validation, with a verdict.",
        rich_help_panel=SMALLER,
    ),
]
Fp16 = Annotated[
    bool,
    typer.Option(
        "--fp16", help="Another file in float16, with a verdict.", rich_help_panel=SMALLER
    ),
]
Target = Annotated[
    choices.Target | None,
    typer.Option(
        help="The processor that int8 is for; default: this machine's.", rich_help_panel=SMALLER
    ),
]
Fold = Annotated[
    choices.WantedFold,
    typer.Option(
        help="Several heads into one: where it costs at most 0.1 points of validation accuracy, "
        "where it is exact, or never.",
        rich_help_panel=FILE,
    ),
]
Latency = Annotated[
    choices.Protocol,
    typer.Option(
        help="How long files are timed: some seconds each (indicative), or 1,024 samples and a "
        "minute each.",
        rich_help_panel=TIMING,
    ),
]
Measured = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="What the folder's bench.py printed on a device goes into the report; nothing is "
        "exported again; repeatable.",
        rich_help_panel=TIMING,
    ),
]
