"""README.md of a folder for the Hub: a model card, filled from the run's report."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcli import __version__
from kdcli.core.text import shown
from kdcli.data.decoding import UNTOLD, Decoding
from kdcli.models.loading import Loaded
from kdcli.recipe.edit import crop_pct_of
from kdcli.recipe.safe_yaml import to_yaml
from kdcli.report.export import FoldPart
from kdcli.report.licences import licence_line, licence_of_all, licence_row
from kdcli.report.markdown_text import Marked, listed, markdown_table, plain
from kdcli.report.schema import Report
from kdcli.report.sentences import figures, fold_words
from kdcli.report.table import heads, table
from kdcli.runs.locate import Located
from kdcli.training.licences import licences_of

NAMED = 100
"""Classes that are listed; config.json has all of them."""


@dataclass(frozen=True)
class Origin:
    """What the card tells that no report holds; None: nobody knows."""

    name: str
    """Of the run, or of the lone model.pt."""
    model: str
    """timm's."""
    classes: tuple[str, ...]
    input_size: int
    image_size: int | None = None
    """Pixels of a side that images were brought to first."""
    crop_pct: float = 1.0
    """Share of an image's shorter side that it is shown."""
    teachers: tuple[str, ...] = ()
    recipe: str | None = None
    data: str | None = None
    seed: int | None = None
    epochs: int | None = None
    given: str | None = None
    """Whose weights these are, where kd did not train them."""
    versions: str = ""
    datasets: tuple[str, ...] = ()
    """As the Hub calls them."""
    licence: str | None = None
    """Of all that these weights were made from, in a word."""
    licences: tuple[str, ...] = ()
    """Of what they were made from, a line each."""
    licence_line: str = ""
    """As the report says it."""
    decoding: Decoding = UNTOLD
    """How image files became pixels."""


def origin_of(student: Loaded, located: Located) -> Origin:
    """What model.pt and its run say; of a lone file what it says itself."""
    file, spec = student.file, located.run.spec if located.run else None
    made, data = file.provenance, file.recipe.get("data", {})
    versions = made.get("versions") or {}
    licences = licences_of(student.file, spec)
    return Origin(
        name=located.folder.resolve().name if located.ships else located.stem,
        model=student.args.name,
        classes=file.classes,
        input_size=student.args.input_size,
        image_size=data.get("image_size"),
        crop_pct=crop_pct_of(data.get("crop_pct")),
        teachers=tuple(made.get("teachers") or ()),
        recipe=_recipe(spec.recipe_name if spec else "", file.recipe),
        data=made.get("data"),
        seed=made.get("seed"),
        epochs=made.get("epochs"),
        given=made.get("given"),
        versions=", ".join(
            f"{n} {versions[n]}" for n in ("kdcli", "torch", "timm") if n in versions
        ),
        datasets=_datasets(spec.data.location if spec else None),
        licence=licence_of_all(licences) if licences.entries else made.get("licence"),
        licences=tuple(map(licence_row, licences.entries)),
        licence_line=licence_line(licences) if licences.entries else "",
        decoding=Decoding.from_dict(made.get("decoding")),
    )


def _recipe(name: str, recipe: dict[str, Any]) -> str | None:
    """`kd: scheme offline; kd (weight 0.9)`."""
    try:
        methods = recipe.get("methods") or {}
        told = [f"{method} (weight {options['weight']})" for method, options in methods.items()]
        scheme = f"scheme {recipe['scheme']['name']}"
    except (KeyError, TypeError, AttributeError):  # none, or a stranger's
        return None
    return (f"{name}: " if name else "") + "; ".join([scheme, *told])


def _datasets(location: str | None) -> tuple[str, ...]:
    """The Hub's own name, where the data came from there."""
    prefix, _, name = (location or "").partition("/")
    hub = prefix == "hfds" and not Path(name).is_absolute()
    return (name,) if hub else ()


# The card ---------------------------------------------------------------------------------------


def model_card(
    report: Report, origin: Origin, fold: FoldPart | None, accuracy: float | None
) -> str:
    """Markdown behind YAML, as the Hub wants it; `accuracy` is that of these very weights."""
    parts = [
        _front(origin),
        f"# {plain(origin.name)}",
        _what(origin, accuracy),
        _use(origin),
        "## How it was made",
        "\n".join(listed(_made(report, origin))) or "Nobody has written it down.",
        "## What it can do",
        *_figures(report, fold),
        *(["## Licences", _listed(origin.licences)] if origin.licences else []),
        "## Limits",
        _listed(_limits(report, origin)),
        f"Written by kd {__version__}.",
    ]
    return "\n\n".join(parts) + "\n"


def _told(text: str) -> Marked:
    """A line of the report, without the folders of the machine that it was written on."""
    words = r"""((?:'[^']*'|"[^"]*"|[^\s'"])+)"""  # one argument, as a shell takes it
    return plain(re.sub(rf"\bkd (evaluate|export) {words}", r"kd \1 RUN", text))


def _front(origin: Origin) -> str:
    """What the Hub files the model under."""
    tags = ["image-classification", "timm", *["knowledge-distillation"] * bool(origin.teachers)]
    front: dict[str, Any] = {
        "tags": tags,
        "pipeline_tag": "image-classification",
        "library_name": "timm",
        "license": shown(origin.licence or "unknown"),
    }
    if origin.datasets:
        front["datasets"] = list(map(shown, origin.datasets))
    return f"---\n{to_yaml(front)}---"


def _what(origin: Origin, accuracy: float | None) -> str:
    names = ", ".join(plain(name) for name in origin.classes[:NAMED])
    more = ", ...; all of them stand in config.json" if len(origin.classes) > NAMED else ""
    found = "" if accuracy is None else f" Accuracy of these weights on test: {accuracy:.4f}."
    return (
        f"{plain(origin.model)} for images of {origin.input_size} x {origin.input_size} pixels "
        f"and {len(origin.classes):,} classes.{found}\n\nClasses: {names}{more}."
    )


_LINES = """```python
import timm
from PIL import Image, ImageOps

model = timm.create_model("local-dir:.", pretrained=True).eval()  # on the Hub: hf-hub:YOU/NAME
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))

photo = Image.open("photo.jpg", formats=("JPEG", "PNG", "WEBP"))  # whatever its name says
image = ImageOps.exif_transpose(photo)  # turned as the camera says
logits = model(transform(image.convert("RGB"))[None])
```"""


def _use(origin: Origin) -> str:
    rule = f" Image files were decoded by a rule: {origin.decoding.told}."
    return (
        f'{_LINES}\n\n`model.pretrained_cfg["label_names"]` are the names of the classes.'
        + rule * bool(origin.decoding.words)
    )


def _made(report: Report, origin: Origin) -> Iterator[str]:
    """Who, from what, and by which rules."""
    if origin.given:
        yield f"given weights, not trained by kd: {origin.given}"
    above = report.models.get("ensemble") or report.models.get("teacher")
    if taught := ", ".join(origin.teachers) or (above.name if above else ""):
        yield f"teacher: {taught}"
    if origin.recipe:
        yield f"recipe {origin.recipe}"
    if origin.data:
        yield f"data: {origin.data}"
    if origin.seed is not None:
        yield f"seed {origin.seed}{_seeds(report)}"
    if origin.epochs is not None:
        yield f"epochs: {origin.epochs}"
    if origin.versions:
        yield f"made with {origin.versions}"
    if baseline := report.models.get("baseline"):
        yield (f"baseline: {baseline.name}, trained as long on the same data from labels alone")


def _seeds(report: Report) -> str:
    seeds = report.comparison.seeds if report.comparison else 1
    return f"; the figures are means over {seeds} seeds" if seeds > 1 else ""


def _figures(report: Report, fold: FoldPart | None) -> Iterator[str]:
    """The verdict, the table, and the comparison in a few lines."""
    if report.verdict:
        yield f"**{_told(report.verdict)}**"
    yield "\n".join(markdown_table(["", *heads(report)], table(report)))
    told = [*figures(report), *report.notes, *([fold_words(fold)] if fold else [])]
    if told:
        yield _listed(told)


def _limits(report: Report, origin: Origin) -> Iterator[str]:
    """What a reader must not take it for."""
    if data := report.data:
        yield (
            f"The figures are those of {data.test_images:,} test images of {data.name}; images of "
            "another kind may fare worse."
        )
    else:
        yield "It has not been evaluated: nothing is known of its accuracy."
    yield "It answers one of its classes for every image, also where none of them is to be seen."
    yield (
        "What it sees of an image is the square in its middle, "
        f"{origin.crop_pct:.1%} of the shorter side."
    )
    if origin.image_size not in (None, origin.input_size):
        yield (
            f"It learnt from images of {origin.image_size} pixels a side, brought to "
            f"{origin.input_size} in a second step; timm does it in one."
        )
    if origin.licence_line:  # the report's own words: both must say the same
        yield f"{origin.licence_line}."
    elif origin.licence is None:
        yield (
            "No licence is stated: it depends on those of the teacher's weights, of the weights "
            "that it began with, and of the images."
        )


def _listed(lines: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return "\n".join(listed(map(_told, lines)))
