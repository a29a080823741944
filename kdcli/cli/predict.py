"""After `kd predict`: what was seen, and what could not be read."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json
from kdcli.core.text import shown

if TYPE_CHECKING:
    from kdcli.commands.predict import Predicted


def show_predicted(console: Console, result: "Predicted") -> None:
    """One line per image; of a single image its likeliest classes."""
    lines = result.top or (None if len(result.predictions) == 1 else 1)
    rows = [
        [shown(prediction.image), guess.name, f"{guess.probability:.4f}"]
        for prediction in result.predictions
        for guess in prediction.top[:lines]
    ]
    if rows:
        console.table(["image", "class", "probability"], rows, figures=False)


def _document(result: "Predicted") -> dict[str, Any]:
    return {
        "model": str(result.model),
        "predictions": [
            {
                "image": prediction.image,
                "top": [
                    {"class": guess.name, "probability": guess.probability}
                    for guess in prediction.top
                ],
            }
            for prediction in result.predictions
        ],
        "skipped": [{"image": image, "why": why} for image, why in result.skipped.items()],
    }


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL.onnx",
            help="A file that kd export wrote, its folder, or the run.",
            autocompletion=completion.runs,
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Image files, folders of them at any depth, or patterns."
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Classes per image; default: 5, and in the table of several images 1.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU cores of onnxruntime; default: all.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Which classes an exported file sees in images; onnxruntime alone, no PyTorch."""
    with door(json) as console:
        from kdcli.commands.predict import predict

        result = predict(model, images, top=top, threads=threads, progress=console)
        return console.show(result, _document, show_predicted, result.failure)
