"""A transfer set: images that the teachers label once, one teacher after another.

Model Compression (Bucila, Caruana, Niculescu-Mizil, KDD 2006). The answers of all as one are
stored (`answers/store`): each member's own would take as many times the room as there are members.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdcli.core import registry
from kdcli.core.arrays import Indices
from kdcli.core.progress import Progress
from kdcli.core.records import Outputs, Panel
from kdcli.core.text import counted
from kdcli.data.pool import Pooled
from kdcli.data.source import Source, refuse_changed_images
from kdcli.data.store import Labelled, Store
from kdcli.data.subset import labelled_split, training_split
from kdcli.models.teachers import Recorded
from kdcli.recipe.load import scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.runs.spec import Spec
from kdcli.training.answers.store import AnswerStore
from kdcli.training.ask_teachers import Asking, Respondent, members_of, one_of_each
from kdcli.training.teachers import Roll

FEW_VIEWS = 20
"""Of each image in all epochs, below which more of them are likely to help: of 527 images, 30 of
them labelled, a student reached 0.81 when each was shown 8 times, 0.96 at 61."""


@dataclass(frozen=True, eq=False)
class Transfer:
    """A labelled transfer set, which takes the place of the training images."""

    store: Store
    """The training images, those without labels, the synthetic ones; the label of each is what the
    ensemble finds likeliest."""
    teacher: Recorded
    answers: Tensor
    """(M, K) logits of the ensemble as one, by the places of the images."""
    samples_per_epoch: int
    """As many as there are training images with labels: in the same epochs the student makes as
    many steps as its baseline."""
    seconds_per_image: float
    """In which all teachers answer; of a rehearsal."""


def labelled_images(spec: Spec, source: Source) -> int:
    """How many training images have labels that are known: all that the baseline learns from."""
    return len(labelled_split(spec, source))


def images_in_all(spec: Spec, source: Source) -> int:
    """How many images the transfer set has: training, unlabelled and synthetic ones."""
    return len(training_split(spec, source)) * _copies(spec)


def open_transfer(
    asking: Asking,
    training: Store,
    validation: Store,
    teachers: Sequence[Path | None],
    *,
    stores: Sequence[AnswerStore] = (),
    rehearsal: bool = False,
) -> Transfer:
    """The transfer set of a spec, labelled by the models in `teachers` (of `spec.members`) as one,
    or as they once did, which is kept in `stores` (their answers; of munge_patch, the
    neighbours). `training` holds all images, unlabelled ones, too.

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
    train = spec.recipe.train
    known = len(training) if rehearsal else labelled_images(spec, site.source)
    shown = train.epoch_of(known)
    images = len(training) * _copies(spec)
    epochs = int(train.epochs)
    _say(images, len(training), known, len(teachers), epochs * shown / images, progress)
    members, roll = members_of(teachers, spec.members, panel), None
    if rehearsal:
        members = one_of_each(members, site.classes)
    else:
        roll = Roll(spec, site, validation)
    # one space in which images lie is enough to find neighbours: that of the first teacher
    pooled = _pooled(spec, training, _nearest(asking, members[0], training, stores[1:]))
    seconds = 0.0

    def ask() -> Tensor:
        nonlocal seconds
        answers, seconds = asking.answers(members, panel, pooled, roll)
        if not rehearsal:
            refuse_changed_images(training_split(spec, site.source), range(len(training)))
        return answers

    answers = stores[0].once("logits", ask, progress) if stores else ask()
    return Transfer(
        store=Labelled(pooled, answers.argmax(1).numpy()),
        teacher=Recorded(Outputs("teachers", answers)),
        answers=answers,
        samples_per_epoch=shown,
        seconds_per_image=seconds / images,
    )


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


def _copies(spec: Spec) -> int:
    """How often each image is in it, the synthetic ones made of it included."""
    pool = spec.recipe.data.pool
    return 1 + (pool.times if pool else 0)


def _pooled(spec: Spec, real: Store, nearest: Indices) -> Store:
    pool = spec.recipe.data.pool
    return Pooled(real, pool, spec.seed, nearest) if pool else real


def _nearest(
    asking: Asking, first: Respondent, real: Store, stores: Sequence[AnswerStore]
) -> Indices:
    """(n,) of munge_patch: each image's nearest; else empty."""
    pool = asking.spec.recipe.data.pool
    if pool is None or pool.by != "munge_patch":
        return np.empty(0, np.int64)

    def ask() -> Tensor:
        return torch.from_numpy(asking.nearest(first, real))

    found = stores[0].once("nearest", ask, asking.site.progress) if stores else ask()
    nearest: Indices = found.numpy()
    return nearest


def _say(
    images: int, real: int, labelled: int, teachers: int, views: float, progress: Progress
) -> None:
    more = "; more: --set train.epochs=..." if views < FEW_VIEWS else ""
    often = "once" if f"{views:.3g}" == "1" else f"{views:.3g} times"
    progress.say(
        f"transfer set: {images:,} images ({labelled:,} with labels, {real - labelled:,} without, "
        f"{images - real:,} synthetic), labelled by {counted(teachers, 'teacher')}, "
        f"each shown {often}{more}"
    )
