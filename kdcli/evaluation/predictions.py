"""predictions.npz: what the models of a run answered to the test images, so that a later comparison
needs neither models nor images."""

import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Indices, Ints
from kdcli.core.errors import DamagedFile
from kdcli.core.file_format import PREDICTIONS
from kdcli.core.files import atomic
from kdcli.data.source import Split
from kdcli.evaluation.answers import Logits

NAME = "predictions.npz"
ANEW = "kd evaluate RUN writes it anew"


@dataclass(frozen=True, eq=False)
class Tested:
    """The N test images."""

    ids: tuple[str, ...]
    labels: Indices
    sums: Ints | None = None
    """(N, 2), of their content; None: an earlier kd kept none."""

    def same_as(self, other: "Tested") -> bool:
        """The same images with the same labels; by name alone where a content is not known."""
        if self.ids != other.ids or not np.array_equal(self.labels, other.labels):
            return False
        return self.sums is None or other.sums is None or np.array_equal(self.sums, other.sums)

    def places_in(self, other: "Tested") -> Indices | None:
        """Where each of these images stands among the other's, whatever they are called there: by
        content and label; None where they are not the same images."""
        if self.same_as(other):
            return np.arange(len(self.ids))
        if self.sums is None or other.sums is None or len(self.ids) != len(other.ids):
            return None
        mine = np.column_stack([self.sums, self.labels])
        theirs = np.column_stack([other.sums, other.labels])
        order, others = (np.lexsort(rows.T) for rows in (mine, theirs))
        if not np.array_equal(mine[order], theirs[others]):
            return None
        places = np.empty(len(order), dtype=np.int64)
        places[order] = others
        return places


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers by role: (S, N, K) logits."""

    tested: Tested
    logits: dict[str, Logits]


def tested(split: Split) -> Tested:
    """A split as it is kept beside the answers."""
    return Tested(tuple(split.ids), split.labels, split.read.sums)


def keep_predictions(folder: Path, images: Tested, logits: Mapping[str, Logits]) -> None:
    """Write them, in place of earlier ones."""
    arrays: dict[str, Any] = {**logits, "ids": np.array(images.ids), "labels": images.labels}
    arrays |= {"sums": images.sums, **PREDICTIONS.numbered}
    with atomic(folder / NAME) as beside, Path(beside).open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_predictions(file: Path) -> Predictions | None:
    """What was kept; None where nothing was. Nothing in the file is executed.

    Raises:
        DamagedFile: it is not what kd writes.
    """
    if not file.is_file():
        return None
    with _opened(file) as kept:
        images = _images(kept)
        return Predictions(images, {role: _answers(kept, role, images) for role in _roles(kept)})


def read_tested(file: Path) -> Tested | None:
    """The images alone, as `read_predictions`."""
    if not file.is_file():
        return None
    with _opened(file) as kept:
        return _images(kept)


def each_role(file: Path, roles: Collection[str]) -> Iterator[tuple[str, Logits]]:
    """The answers of these roles, as far as they are there, one in memory at a time; raises as
    `read_predictions`."""
    with _opened(file) as kept:
        images = _images(kept)
        for role in _roles(kept):
            if role in roles:
                yield role, _answers(kept, role, images)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with np.load(file, allow_pickle=False) as kept:
            number = kept[PREDICTIONS.key] if PREDICTIONS.key in kept.files else None
            PREDICTIONS.refuse_others(file, number if number is None else number.item(), ANEW)
            yield kept
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedFile(f"{file}: damaged", ANEW) from error


_OF_IMAGES = ("ids", "labels", "sums", PREDICTIONS.key)


def _roles(kept: Any) -> list[str]:
    return [name for name in kept.files if name not in _OF_IMAGES]


def _images(kept: Any) -> Tested:
    ids, labels = kept["ids"], kept["labels"]
    if len(ids) != len(labels):
        raise ValueError("as many names as labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or (len(labels) and labels.min() < 0):
        raise ValueError("a class each")
    sums = kept["sums"] if "sums" in kept.files else None
    return Tested(tuple(map(str, ids.tolist())), labels.astype(np.int64), sums)


def _answers(kept: Any, role: str, images: Tested) -> Logits:
    found: Logits = kept[role]
    seeds, asked, classes = found.shape if found.ndim == 3 else (0, 0, 0)
    fits = seeds > 0 and asked == len(images.labels) and found.dtype.kind == "f"
    if not fits or classes <= images.labels.max(initial=0) or not np.isfinite(found).all():
        raise ValueError(f"{role}: no answers to these images")
    return found
