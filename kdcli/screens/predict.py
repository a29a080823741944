"""After `kd predict`: what was seen, and what could not be read."""

from typing import TYPE_CHECKING

from kdcli.console import Console, error_document

if TYPE_CHECKING:
    from kdcli.commands.predict import Predicted


def predicted(console: Console, result: "Predicted") -> None:
    """One line per image; of a single image its likeliest classes."""
    if console.as_json:
        _document(console, result)
        return
    lines = result.top or (None if len(result.predictions) == 1 else 1)
    rows = [
        [prediction.image, guess.name, f"{guess.probability:.4f}"]
        for prediction in result.predictions
        for guess in prediction.top[:lines]
    ]
    if rows:
        console.table(["image", "class", "probability"], rows, figures=False)


def _document(console: Console, result: "Predicted") -> None:
    content = {
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
    failure = result.failure
    console.document(content | ({"error": error_document(failure)} if failure else {}))
