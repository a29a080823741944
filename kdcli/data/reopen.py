"""The data that an earlier run was made with: gone, changed, or the same."""

from dataclasses import replace
from pathlib import Path

from kdcli.core.errors import DamagedFile, DataError
from kdcli.core.progress import Progress
from kdcli.data.open import open_source
from kdcli.data.source import BACK, Source, Split
from kdcli.data.unlabelled import identity_of, open_unlabelled
from kdcli.runs.spec import DataRef


def reopen_data(data: DataRef, progress: Progress) -> Source:
    """The data of an earlier run.

    Raises:
        DataError: they are gone, or were read by the rules of an older kd.
        DamagedFile: they are no longer the same.
    """
    refuse_older(data)
    if is_gone(data):
        raise DataError(
            f"{data.location}: gone; the run was made with these images", "bring them back"
        )
    source = open_source(data.location, progress)
    if source.identity != data.identity:
        raise DamagedFile(
            f"{data.location}: the images are no longer those that the run was made with",
            "bring them back, or train again on these",
        )
    return replace(
        source,
        train=_of_run(source.train),
        validation=_of_run(source.validation),
        test=_of_run(source.test),
    )


def refuse_older(data: DataRef) -> None:
    """Raise DataError for images that an older kd read by other rules."""
    if data.is_older:
        raise DataError(
            f"{data.name}: made by an older kd, which read these images by other rules",
            "repeat the command that made the run: it makes a new one",
        )


def _of_run(split: Split) -> Split:
    """Without one of its images it would no longer be the run's."""
    return replace(split, way_out=BACK)


def is_gone(data: DataRef) -> bool:
    """Whether the folder that a run was made with is not on this machine."""
    given_as_path = data.location is not None and Path(data.location).is_absolute()
    return given_as_path and not Path(str(data.location)).exists()


def reopen_unlabelled(data: DataRef, progress: Progress) -> Split:
    """The images that a run refers to.

    Raises:
        DataError: they are gone, or were read by the rules of an older kd.
        DamagedFile: they are no longer the same.
    """
    refuse_older(data)
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
