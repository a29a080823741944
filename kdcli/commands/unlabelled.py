"""data.unlabelled: from the recipe to how a run refers to it, and back to the images."""

from dataclasses import replace
from pathlib import Path

from kdcli.data.broken import BACK
from kdcli.data.doubles import same_images
from kdcli.data.source import Source, Split
from kdcli.data.unlabelled import identity_of, open_unlabelled
from kdcli.errors import DamagedFile, DataError, counted
from kdcli.progress import Progress
from kdcli.recipe import Recipe
from kdcli.spec import DataRef


def unlabelled_of(recipe: Recipe, source: Source, progress: Progress) -> DataRef | None:
    """The folder that a recipe names, relative to the working directory; warns of images in it on
    which models are measured.

    Raises:
        DataError: no images there, or some that cannot be read.
    """
    if recipe.data.unlabelled is None:
        return None
    path = Path(recipe.data.unlabelled).expanduser().resolve()
    split = open_unlabelled(path, progress)
    progress.say(f"data.unlabelled: {counted(len(split), 'image')} in {path}")
    if twice := measured_too(split, source, progress):
        progress.warn(
            f"data.unlabelled: {counted(twice, 'image')} of validation or test in {path}: the "
            "student learns what its teachers say of images that it is measured on"
        )
    return DataRef(name=path.name, location=str(path), identity=identity_of(split))


def measured_too(split: Split, source: Source, progress: Progress) -> int:
    """How many images of validation and test are among these, by content."""
    splits = {"unlabelled": split, "validation": source.validation, "test": source.test}
    return sum(
        place.split != "unlabelled"
        for places in same_images(splits, progress)
        if any(place.split == "unlabelled" for place in places)
        for place in places
    )


def reopen_unlabelled(data: DataRef, progress: Progress) -> Split:
    """The images that a run refers to.

    Raises:
        DataError: they are gone.
        DamagedFile: they are no longer the same.
    """
    path = Path(data.location or "")
    if not path.is_dir():
        raise DataError(f"{path}: gone; the run is made with these images", "bring them back")
    split = open_unlabelled(path, progress)
    if identity_of(split) != data.identity:
        raise DamagedFile(
            f"{path}: the images are no longer those that the run is made with",
            "bring them back, or distill again with these",
        )
    return replace(split, way_out=BACK)
