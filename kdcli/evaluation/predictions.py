"""predictions.npz: what the models of a run answered to the test images, so that a later comparison
needs neither models nor images."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Indices, Ints
from kdcli.core.errors import DamagedFile
from kdcli.core.files import atomic
from kdcli.data.source import Split
from kdcli.evaluation.answers import Logits

NAME = "predictions.npz"


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
    arrays["sums"] = images.sums
    with atomic(folder / NAME) as beside, Path(beside).open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_predictions(file: Path) -> Predictions | None:
    """What was kept; None where nothing was. Nothing in the file is executed.

    Raises:
        DamagedFile: it is not what kd writes.
    """
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        ids, labels, sums = arrays.pop("ids"), arrays.pop("labels"), arrays.pop("sums", None)
        images = Tested(tuple(map(str, ids.tolist())), labels.astype(np.int64), sums)
        fits = all(one.ndim == 3 and one.shape[1] == len(labels) for one in arrays.values())
        if len(ids) == len(labels) and fits and all(np.isfinite(a).all() for a in arrays.values()):
            return Predictions(images, arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        pass
    raise DamagedFile(f"{file}: damaged", "kd evaluate RUN writes it anew")
