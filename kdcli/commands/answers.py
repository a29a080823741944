"""transfer.npz: what an ensemble answered to a transfer set, kept with the run."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcli.files import atomic
from kdcli.progress import Progress


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers, and whose they are."""

    logits: NDArray[np.float32]
    """(M, K) of the ensemble as one."""
    members: tuple[str, ...]
    """sha256 of each model.pt, in order."""
    neighbours: NDArray[np.int64]
    """(n,) of munge_patch: the nearest of each image that is not synthetic; else empty."""


def write_answers(path: Path, answers: Answers, ids: Sequence[str]) -> None:
    """`ids` name the first images; those behind them are synthetic.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    with atomic(path) as beside, Path(beside).open("wb") as file:
        np.savez_compressed(
            file,
            logits=answers.logits,
            members=np.array(answers.members),
            neighbours=answers.neighbours,
            ids=np.array(ids),
        )


def read_answers(
    path: Path, members: tuple[str, ...], shape: tuple[int, int], progress: Progress
) -> Answers | None:
    """Those of these members to so many images and classes; None: they have to be asked."""
    if not path.is_file():
        return None
    try:
        with np.load(path) as file:
            found = Answers(file["logits"], tuple(file["members"].tolist()), file["neighbours"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        progress.warn(f"{path}: damaged; the teachers are asked again")
        return None
    if (found.members, found.logits.shape) != (members, shape):
        progress.warn(f"{path}: of other teachers or images; the teachers are asked again")
        return None
    return found
