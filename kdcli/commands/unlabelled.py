"""data.unlabelled: from the recipe to how a run refers to it, and back to the images."""

from dataclasses import replace
from pathlib import Path

from kdcli.data.broken import BACK
from kdcli.data.source import Split
from kdcli.data.unlabelled import identity_of, open_unlabelled
from kdcli.errors import DamagedFile, DataError
from kdcli.progress import Progress
from kdcli.recipe import Recipe
from kdcli.spec import DataRef


def unlabelled_of(recipe: Recipe, progress: Progress) -> DataRef | None:
    """The folder that a recipe names, relative to the working directory.

    Raises:
        DataError: no images there, or some that cannot be read.
    """
    if recipe.data.unlabelled is None:
        return None
    path = Path(recipe.data.unlabelled).expanduser().resolve()
    split = open_unlabelled(path, progress)
    progress.say(f"data.unlabelled: {len(split):,} images in {path}")
    return DataRef(name=path.name, location=str(path), identity=identity_of(split))


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
