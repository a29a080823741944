"""The data that an earlier run was made with: gone, changed, or the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from kdcli.core.errors import DamagedFile, DataError, KdError
from kdcli.core.progress import Progress
from kdcli.data.find_decoding import decoded
from kdcli.data.open import open_source
from kdcli.data.source import BACK, Source, Split
from kdcli.data.subset import labelled_split
from kdcli.data.unlabelled import identity_of, open_unlabelled
from kdcli.runs.spec import DataRef, Spec


def reopen_data(
    data: DataRef,
    progress: Progress,
    moved: str | None = None,
    unlabelled: DataRef | None = None,
) -> Source:
    """The data of an earlier run, from where they were, or where they have `moved` (`--data`), and
    the images without labels that a training will want.

    Raises:
        DataError: they are gone, were read by the rules of an older kd, or what lies in the other
            place is something else.
        DamagedFile: they are no longer the same.
    """
    refuse_gone(data, moved)  # before they are read: opening a large folder takes its time
    source = open_source(data.location if moved is None else moved, progress)
    if moved is None:
        _refuse_changed(data, source.identity, "train")
    elif source.identity != data.identity:
        raise DataError(
            f"--data {moved}: not the images that the run was made with: "
            f"{_otherwise(data, source)}",
            f"give the place that {data.location or data.name} has moved to; to measure on other "
            "images: kd predict, or train with them",
        )
    return replace(
        source,
        train=_of_run(source.train),
        validation=_of_run(source.validation),
        test=_of_run(source.test),
        unlabelled=_reopen_unlabelled(unlabelled, source, progress) if unlabelled else None,
    )


def _reopen_unlabelled(data: DataRef, beside: Source, progress: Progress) -> Split:
    """Decoded as those that it learns with."""
    if is_gone(data):
        raise DataError(
            f"{data.location}: gone; the run was made with these images without labels",
            "bring them back, or repeat the command that made the run with --set "
            "data.unlabelled=NEW (and --seed N for a further one)",
        )
    refuse_gone(data)
    split = open_unlabelled(Path(data.location or ""), progress)
    _refuse_changed(data, identity_of(split), "distill")
    return _of_run(decoded(split, beside.decoding))


def learnt_from(spec: Spec, progress: Progress) -> Split | None:
    """The images from whose labels a finished training learnt; None where they are gone, or are
    others by now."""
    try:
        return labelled_split(spec, reopen_data(spec.data, progress))
    except KdError:
        return None


def is_gone(data: DataRef) -> bool:
    """Whether the folder that a run was made with is not on this machine; of what has a name alone
    (`torch/mnist`) only opening it tells."""
    prefix, _, rest = (data.location or "").partition("/")
    path = Path(rest if prefix == "hfds" else data.location or "")
    return path.is_absolute() and not path.exists()


def refuse_gone(data: DataRef, moved: str | None = None) -> None:
    """Before anything is read: raise DataError for data that are gone, and nobody says where to, or
    that were read by other rules."""
    if data.is_older:
        raise DataError(
            f"{data.name}: made by an older kd, which read these images by other rules",
            "repeat the command that made the run: it makes a new one",
        )
    if moved is None and is_gone(data):
        raise DataError(
            f"{data.location}: gone; the run was made with these images",
            "bring them back, or say where they lie now: --data NEW",
        )


def _refuse_changed(data: DataRef, identity: dict[str, Any], verb: str) -> None:
    if identity != data.identity:
        raise DamagedFile(
            f"{data.location}: the images are no longer those that the run was made with",
            f"bring them back, or {verb} again with these",
        )


def _otherwise(data: DataRef, source: Source) -> str:
    """What of the identity differs, in words."""
    was, now = data.identity, source.identity
    if was.get("kind") != now.get("kind"):
        return f"of kind {now.get('kind')}, the run's were of kind {was.get('kind')}"
    keys = sorted(key for key in {*was, *now} if was.get(key) != now.get(key))
    told = {"split_seed": "how they are split", "shares": "how they are split"}
    parts = dict.fromkeys(told.get(key, "names, contents or labels of files") for key in keys)
    return (
        f"{' and '.join(parts)} differ; here {len(source.train):,} training, "
        f"{len(source.validation):,} validation and {len(source.test):,} test images of "
        f"{len(source.classes)} classes"
    )


def _of_run(split: Split) -> Split:
    """Without one of its images it would no longer be the run's."""
    return replace(split, way_out=BACK)
