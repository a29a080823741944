"""Data sets of the Hugging Face Hub, or in files of its formats, by the package `datasets`."""

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError, UsageError
from kdcli.core.network import answers
from kdcli.core.progress import Progress
from kdcli.core.text import some
from kdcli.data.defaults import defaults_of
from kdcli.data.readers import HubImages
from kdcli.data.source import Source, Split
from kdcli.data.sources.hub_columns import Labels, image_column, label_column, read_labels
from kdcli.data.sources.hub_sums import table_looks
from kdcli.data.splits import absent_classes, complete, role_of, with_test_set

HOW_TO_INSTALL = "pip install 'kdcli[hub]'"


def open_hub(name: str, progress: Progress) -> Source:
    """A set of the Hub, or of a folder of Parquet, Arrow, JSON or image files.

    It is kept in `$KD_DATA`, else where `datasets` keeps its own. Raises UsageError without
    that package, DataError for what cannot be had or is no classification task.

    No code of a set is run: `datasets` has lost the means with version 4, the floor in
    pyproject.toml.
    """
    if importlib.util.find_spec("datasets") is None:
        raise UsageError(f"--data hfds/{name}: needs the package datasets", HOW_TO_INSTALL)
    tables, notes = _roles(name, _loaded(name, os.environ.get("KD_DATA"), progress))
    image = image_column(name, tables["train"].features)
    label = label_column(name, tables["train"].features)
    if (image, label) != ("image", "label"):
        notes.append(f"images are in column {image}, labels in {label}")
    known = read_labels(name, tables["train"], label).classes
    read = {role: read_labels(name, table, label, known) for role, table in tables.items()}
    given, dropped = _labelled(name, tables, read, image, progress)
    notes += [f"{role} has no labels: left out" for role in dropped]
    assigned, moved = with_test_set(given)
    notes += ["no test split: validation is the test set"] if moved else []
    notes += absent_classes(assigned, known)
    return complete(
        assigned,
        name=Path(name).name or name,
        where=f"hfds/{name}",
        classes=known,
        identity={"kind": "hfds", "rows": _digest(assigned, known)},
        defaults=defaults_of(assigned["train"]),
        notes=tuple(notes),
    )


def _loaded(name: str, cache: str | None, progress: Progress) -> dict[str, Any]:
    """All splits of the set: datasets.Dataset by the set's own names for them."""
    import datasets

    if not sys.stderr.isatty():  # its bars would fill a log with lines
        datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    local = Path(name).expanduser()
    there = local.is_dir()
    online = there or answers(_endpoint())
    if not there and online:
        progress.say(f"hfds/{name}: asking {_endpoint()}")
    try:
        with _offline(not online):
            found = datasets.load_dataset(str(local.resolve()) if there else name, cache_dir=cache)
    except Exception as error:  # of many kinds, from sockets to the parsers of a dozen formats
        reason = " ".join(str(error).split()) or type(error).__name__
        kept = cache or datasets.config.HF_DATASETS_CACHE
        if online:
            raise DataError(
                f"hfds/{name}: cannot be read ({reason})",
                "give the name of a set as the Hub writes it, or hfds/FOLDER of Parquet files",
            ) from error
        raise DataError(
            f"hfds/{name}: not in the cache ({kept}), and {_endpoint()} does not answer",
            "connect once, or bring the set's Parquet files here and give hfds/FOLDER",
        ) from error
    return dict(found)


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """What the cache has, at once; both packages read their environment only when imported, so that
    setting HF_HUB_OFFLINE now would come too late."""
    import datasets.config
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    if wanted:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def _roles(name: str, tables: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The set's splits by what they are to kd; others are left out, aloud."""
    found: dict[str, Any] = {}
    others = []
    for split, table in tables.items():
        role = role_of(split)
        if role is None or role in found:
            others.append(split)
        else:
            found[role] = table
    if "train" not in found and len(tables) == 1:  # a set of one split, whatever it calls that
        found, others = {"train": next(iter(tables.values()))}, []
    if "train" not in found:
        raise DataError(f"hfds/{name}: no split train (there: {some(tables)})", "take another set")
    return found, [f"splits left out: {some(others)}"] if others else []


def _labelled(
    name: str,
    tables: dict[str, Any],
    read: dict[str, Labels],
    image: str,
    progress: Progress,
) -> tuple[dict[str, Split], list[str]]:
    """Splits whose images have labels, and the names of the others."""
    given, dropped = {}, []
    for role, table in tables.items():
        if read[role].classes != read["train"].classes:
            raise DataError(f"hfds/{name}: {role} has other classes than train", "take another set")
        if (read[role].indices < 0).all():
            dropped.append(role)
            continue
        given[role] = _split(name, role, table, read[role].indices, image, progress)
    if "train" not in given:
        raise DataError(f"hfds/{name}: train has no labels", "take another set")
    return given, dropped


def _split(
    name: str, role: str, table: Any, labels: Indices, image: str, progress: Progress
) -> Split:
    from datasets import Image

    # Undecoded, so that kd decodes by its own rules, as files of a folder; the image column alone,
    # as others would be read along with each row.
    plain = table.select_columns([image]).cast_column(image, Image(decode=False))
    rows = np.flatnonzero(labels >= 0)
    looks = table_looks(plain, image, progress)
    read = HubImages(plain, image, rows, looks.sums[rows], looks.sizes[rows], f"hfds/{name} {role}")
    ids = tuple(f"{role}-{row:06d}" for row in rows)
    return Split(labels[rows], ids, read)


def _digest(given: dict[str, Split], classes: tuple[str, ...]) -> str:
    """Of labels and images in their order, wherever the set is kept: rows have no names to sort."""
    known = hashlib.sha256(json.dumps(classes).encode())
    for role, split in sorted(given.items()):
        known.update(f"{role} {len(split)} ".encode())
        known.update(split.labels.tobytes())
        known.update(split.read.sums.tobytes())
    return known.hexdigest()
