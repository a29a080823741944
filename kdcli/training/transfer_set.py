"""A transfer set: images that the teachers label once, one teacher after another.

Model Compression (Bucila, Caruana, Niculescu-Mizil, KDD 2006). The answers are stored with the run,
so that who goes on after a kill asks nobody again.
"""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kdcli.core import registry
from kdcli.core.arrays import Floats, Indices
from kdcli.core.files import atomic, sha256
from kdcli.core.progress import Progress
from kdcli.core.records import Panel
from kdcli.core.text import counted
from kdcli.data.photographs import open_training
from kdcli.data.pool import Pooled
from kdcli.data.reopen import reopen_unlabelled
from kdcli.data.source import Source, Split
from kdcli.data.store import Joined, Labelled, Store
from kdcli.data.subset import labelled_split, training_split
from kdcli.models.teachers import Recorded
from kdcli.recipe.load import scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.runs.spec import Spec
from kdcli.training.ask_teachers import Asking, Respondent, members_of, one_of_each
from kdcli.training.teachers import Roll

FEW = 64
"""Unlabelled images of a rehearsal, which would else decode thousands to time a few steps."""

FEW_VIEWS = 20
"""Of each image in all epochs, below which more of them are likely to help: of 527 images, 30 of
them labelled, a student reached 0.81 when each was shown 8 times, 0.96 at 61."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What the ensemble says of each image, and whose answers they are: transfer.npz."""

    logits: Floats
    """(M, K) of the ensemble as one."""
    members: tuple[str, ...]
    """sha256 of each model.pt, in order."""
    neighbours: Indices
    """(n,) of munge_patch: the nearest of each image that is not synthetic; else empty."""


@dataclass(frozen=True, eq=False)
class Transfer:
    """A labelled transfer set, which takes the place of the training images."""

    store: Store
    """The training images, those without labels, the synthetic ones; the label of each is what the
    ensemble finds likeliest."""
    teacher: Recorded
    answers: Answers
    ids: tuple[str, ...]
    """Of those that are not synthetic."""
    samples_per_epoch: int
    """As many as there are training images with labels: in the same epochs the student makes as
    many steps as its baseline."""
    seconds_per_image: float
    """In which all teachers answer; 0 where they had answered before."""
    read: bool
    """The answers were read from a file."""

    def keep(self, path: Path) -> None:
        """Write the answers, where they are not read from there."""
        if not self.read:
            write_answers(path, self.answers, self.ids)


def labelled_images(spec: Spec, source: Source) -> int:
    """How many training images have labels that are known: all that the baseline learns from."""
    return len(labelled_split(spec, source))


def images_in_all(spec: Spec, source: Source) -> int:
    """How many images the transfer set has: training, unlabelled and synthetic ones; nothing is
    opened."""
    further = spec.unlabelled.identity["images"] if spec.unlabelled else 0
    return (len(training_split(spec, source)) + int(further)) * _copies(spec)


def open_transfer(
    asking: Asking,
    training: Store,
    validation: Store,
    teachers: Sequence[Path | None],
    *,
    recorded: Path | None = None,
    rehearsal: bool = False,
) -> Transfer:
    """The transfer set of a spec, labelled by the models in `teachers` (of `spec.members`) as one,
    or as the file `recorded` says where that is theirs. `training` holds all training images.

    A rehearsal asks one model of each architecture about a few images, an untrained one for None.

    Raises:
        DamagedFile: unlabelled images or a teacher that are no longer those of the run.
        UnfitTeacher: a given teacher is hardly better than chance.
        UnmetNeeds: the scheme's weights are for another number of teachers; or the first of them
            shows no vector by which neighbours could be found.
    """
    spec, site, progress = asking.spec, asking.site, asking.site.progress
    panel = scheme_of(spec.recipe).panel(len(teachers))  # before anything is read
    _warn_of_softening(spec.recipe, panel, progress)
    further = _unlabelled(spec, site.source, rehearsal, progress)
    real = _real(spec, training, further, progress)
    ids = (*training_split(spec, site.source).ids, *(further.ids if further else ()))
    shown = len(training) if rehearsal else labelled_images(spec, site.source)
    shape = len(real) * _copies(spec), site.classes
    epochs = int(spec.recipe.train.epochs)
    _say(shape[0], len(training), len(real), len(teachers), epochs * shown / shape[0], progress)
    sums = () if rehearsal else tuple(sha256(path) for path in teachers if path)
    if recorded and (found := read_answers(recorded, sums, shape, progress)):
        return _labelled(spec, real, found, ids, shown, read=True)
    roll = None if rehearsal else Roll(spec, site, validation)
    members = members_of(teachers, spec.members, panel)
    answers, seconds = _asked(asking, members, panel, real, sums, roll)
    return _labelled(spec, real, answers, ids, shown, seconds / shape[0])


def _asked(
    asking: Asking,
    members: list[Respondent],
    panel: Panel,
    real: Store,
    sums: tuple[str, ...],
    roll: Roll | None,
) -> tuple[Answers, float]:
    """What they answer, and the seconds that it takes; without a roll, it is a rehearsal.

    Neighbours are the first teacher's: one space in which images lie is enough to find them.
    """
    if roll is None:
        members = one_of_each(members, asking.site.classes)
    nearest = _nearest(asking, members[0], real)
    store = _pooled(asking.spec, real, nearest)
    logits, seconds = asking.answers(members, panel, store, roll)
    return Answers(logits, sums, nearest), seconds


def _warn_of_softening(recipe: Recipe, panel: Panel, progress: Progress) -> None:
    """At T = 1 alone the kept mean is the mean of what the teachers answer.

    Softened afterwards it is p^(1/T), normalised; the mean of their softened answers would take all
    members' logits, and their number is not to count in memory.
    """
    if panel.aggregate == "logits" or len(panel.weights) == 1:
        return
    for name, use in recipe.methods.items():
        hot = use.options.get("temperature", 1)
        if hot != 1 and registry.load("methods", use.use or name).needs_teacher:
            progress.warn(
                f"methods.{name}.temperature={hot} softens the teachers' mean probabilities, "
                "which are not the mean of their softened ones: --set "
                f"methods.{name}.temperature=1, or --set scheme.aggregate=logits (exact for the "
                "mean of logits)"
            )


def _unlabelled(spec: Spec, source: Source, rehearsal: bool, progress: Progress) -> Split | None:
    if spec.unlabelled is None:
        return None
    split = reopen_unlabelled(spec.unlabelled, source, progress)
    return split.sample(FEW) if rehearsal else split


def _real(spec: Spec, training: Store, further: Split | None, progress: Progress) -> Store:
    """The images that are there, the training ones first: the order of `ids` and of the answers."""
    if further is None:
        return training
    return Joined((training, open_training(further, spec.recipe, progress)))


def _copies(spec: Spec) -> int:
    """How often each image is in it, the synthetic ones made of it included."""
    pool = spec.recipe.data.pool
    return 1 + (pool.times if pool else 0)


def _pooled(spec: Spec, real: Store, nearest: Indices) -> Store:
    pool = spec.recipe.data.pool
    return Pooled(real, pool, spec.seed, nearest) if pool else real


def _nearest(asking: Asking, first: Respondent, real: Store) -> Indices:
    pool = asking.spec.recipe.data.pool
    if pool and pool.by == "munge_patch":
        return asking.nearest(first, real)
    return np.empty(0, np.int64)


def _labelled(
    spec: Spec,
    real: Store,
    answers: Answers,
    ids: tuple[str, ...],
    samples_per_epoch: int,
    seconds_per_image: float = 0.0,
    read: bool = False,
) -> Transfer:
    store = _pooled(spec, real, answers.neighbours)
    return Transfer(
        store=Labelled(store, answers.logits.argmax(1)),
        teacher=Recorded("teachers", torch.from_numpy(answers.logits)),
        answers=answers,
        ids=ids,
        samples_per_epoch=samples_per_epoch,
        seconds_per_image=seconds_per_image,
        read=read,
    )


def _say(
    images: int, training: int, real: int, teachers: int, views: float, progress: Progress
) -> None:
    more = "; more: --set train.epochs=..." if views < FEW_VIEWS else ""
    progress.say(
        f"transfer set: {images:,} images ({training:,} of training, {real - training:,} "
        f"unlabelled, {images - real:,} synthetic), labelled by {counted(teachers, 'teacher')}, "
        f"each shown {views:.3g} times{more}"
    )


def write_answers(path: Path, answers: Answers, ids: Sequence[str]) -> None:
    """`ids` name the first images; those behind them are synthetic.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    # an open file: to a name numpy would append .npz
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
    """Those of these members to so many images and classes; None: they have to be asked.

    By the members' sha256, so that a teacher that was trained anew is asked anew. numpy unpickles
    nothing unless it is told to.
    """
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
