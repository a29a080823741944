"""`--test`: labelled images for a finished model, from folders and tables without a training split,
too."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kdcli.core.class_order import canonical
from kdcli.core.errors import KdError, UnfitTeacher
from kdcli.core.progress import Progress
from kdcli.core.text import did_you_mean, some
from kdcli.data.open import BUILT_IN, FILES, is_named, open_source
from kdcli.data.source import NewImages, Split
from kdcli.data.sources.csv_table import open_new_table
from kdcli.data.sources.folder import open_new_folder
from kdcli.data.sources.idx import holds_idx
from kdcli.data.sources.tree import reading

FLAG = "--test"


def open_new_images(name: str, progress: Progress) -> NewImages:
    """What `--test` names: its test split; all images of a folder or table that has no splits.

    Raises:
        UsageError: none of these things.
        DataError: no labelled images.
    """
    try:
        with reading(name):
            found = _opened(name, progress)
    except KdError as error:  # of whatever opens --data
        error.what, error.fix = (text.replace("--data", FLAG) for text in (error.what, error.fix))
        raise
    return replace(found, classes=canonical(found.classes))


def _opened(name: str, progress: Progress) -> NewImages:
    path = Path(name).expanduser()
    known = name in BUILT_IN or is_named(name) or not name.strip()
    if not known and path.is_dir() and not holds_idx(path):
        return open_new_folder(path, progress)
    if not known and path.is_file() and path.suffix.lower() in FILES:
        return open_new_table(path, progress)
    source = open_source(name, progress)
    return NewImages(source.name, source.classes, source.test, ("its test split is measured",))


def of_classes(new: NewImages, classes: Sequence[str], who: str) -> Split:
    """The images under a model's classes, matched by name; not every class needs to have some.

    Raises:
        UnfitTeacher: a class that the model does not know.
    """
    strange = [name for name in new.classes if name not in classes]
    if strange:
        near = did_you_mean(strange[0], classes)
        raise UnfitTeacher(
            f"{who} does not fit the data: {new.name} has classes that it does not know: "
            f"{some(strange, 5)}{near}",
            f"it knows {some(classes, 20)}; call the folders as these",
        )
    places = np.array([classes.index(name) for name in new.classes], dtype=np.int64)
    return replace(new.images, labels=places[new.images.labels])


def without_images(new: NewImages, classes: Sequence[str]) -> list[str]:
    """The classes of the model that have none."""
    return [name for name in classes if name not in new.classes]
