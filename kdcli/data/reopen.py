"""The data that an earlier run was made with: gone, changed, or the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

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
    _refuse_gone(data)  # before they are read: opening a large folder takes its time
    source = open_source(data.location, progress)
    _refuse_changed(data, source.identity, "train")
    return replace(
        source,
        train=_of_run(source.train),
        validation=_of_run(source.validation),
        test=_of_run(source.test),
    )


def reopen_unlabelled(data: DataRef, progress: Progress) -> Split:
    """The images without labels that a run refers to.

    Raises:
        DataError: they are gone, or were read by the rules of an older kd.
        DamagedFile: they are no longer the same.
    """
    _refuse_gone(data)
    split = open_unlabelled(Path(data.location or ""), progress)
    _refuse_changed(data, identity_of(split), "distill")
    return _of_run(split)


def is_gone(data: DataRef) -> bool:
    """Whether the folder that a run was made with is not on this machine; of what has a name alone
    (`torch/mnist`) only opening it tells."""
    given_as_path = data.location is not None and Path(data.location).is_absolute()
    return given_as_path and not Path(str(data.location)).exists()


def _refuse_gone(data: DataRef) -> None:
    if data.is_older:
        raise DataError(
            f"{data.name}: made by an older kd, which read these images by other rules",
            "repeat the command that made the run: it makes a new one",
        )
    if is_gone(data):
        raise DataError(
            f"{data.location}: gone; the run was made with these images", "bring them back"
        )


def _refuse_changed(data: DataRef, identity: dict[str, Any], verb: str) -> None:
    if identity != data.identity:
        raise DamagedFile(
            f"{data.location}: the images are no longer those that the run was made with",
            f"bring them back, or {verb} again with these",
        )


def _of_run(split: Split) -> Split:
    """Without one of its images it would no longer be the run's."""
    return replace(split, way_out=BACK)
