"""From a spec to what the loop needs: models, teachers, data, and the distiller that joins them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcli.core.records import About, Batch, Teacher
from kdcli.core.world import launched_as
from kdcli.data.balance import class_weights
from kdcli.data.loader import (
    PLAIN_BATCH,
    Batching,
    plain_batches,
    steps_per_epoch,
    training_batches,
)
from kdcli.data.photographs import open_training
from kdcli.data.store import MOST_BYTES, Store, plain_store
from kdcli.data.subset import training_split
from kdcli.evaluation.metrics import accuracy, balanced_accuracy, nll
from kdcli.models.build import seeded
from kdcli.models.checkpoint import Weights
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import predict
from kdcli.recipe.conflicts import refuse_contradictions
from kdcli.recipe.load import scheme_of
from kdcli.recipe.weight import weight_at
from kdcli.runs.spec import Spec
from kdcli.training.answers.ask_once import Answered
from kdcli.training.answers.decide import LIVE, Way
from kdcli.training.answers.stored_teachers import PerImage, open_stored, rehearsed
from kdcli.training.ask_teachers import Asking
from kdcli.training.batching import Batches, batching_of, shared
from kdcli.training.compiling import compile_models
from kdcli.training.distiller import Distiller
from kdcli.training.learner import build_learner, build_peers, learning_of, timm_keys
from kdcli.training.processes.batch_norms import tell_of_batch_norms
from kdcli.training.processes.exchange import current, shared_rows
from kdcli.training.resume import Validation
from kdcli.training.site import Site
from kdcli.training.stepper import Stepper
from kdcli.training.teachers import open_teachers
from kdcli.training.terms import terms_of
from kdcli.training.trajectory import followed, learning_teachers
from kdcli.training.transfer_set import Transfer, open_transfer


@dataclass(frozen=True, eq=False)
class Assembled:
    """A training, ready to start."""

    distiller: Distiller
    args: ModelArgs
    """Of the student."""
    batches: Batches
    answered: Answered
    """The same, each when the teachers have answered to it, where they do so once."""
    steps_per_epoch: int
    validate: Callable[[nn.Module], Validation]
    """What a model that would ship answers on the validation images."""
    whole: Callable[[Weights], Weights]
    """The student's state dict, with timm's own keys, from the learnt weights."""
    preparing: float
    """Seconds of what was done to every image: read, and with tune=head shown to the trunk."""
    asking: PerImage | None = None
    """Of a rehearsal whose training would store what teachers answer."""
    transfer: Transfer | None = None
    """What takes the place of the training images, where teachers label."""
    alongside: dict[str, Stepper] = field(default_factory=dict)
    """Teachers that learn at the same steps, each with an optimiser and a schedule of its own."""

    def kept(self) -> dict[str, nn.Module]:
        """What the run keeps, by name: what may ship, and what lies next to it."""
        others = {name: one.ships["student"] for name, one in self.alongside.items()}
        return self.distiller.ships() | self.distiller.beside() | others

    def finished(self, weights: dict[str, Weights]) -> dict[str, tuple[ModelArgs, Weights]]:
        """What rebuilds each model that is kept, and its state dict with timm's own keys."""
        kept: dict[str, Any] = self.kept()
        return {
            name: (self.args, self.whole(weights[name]))
            if name == "student"
            else (one.args, timm_keys(weights[name]))
            for name, one in kept.items()
        }


def assemble(
    spec: Spec,
    site: Site,
    teachers: Sequence[Path | None],
    *,
    rehearsal: bool = False,
    on_demand: bool = False,
    way: Way = LIVE,
) -> Assembled:
    """Build and check everything; `teachers` are the model.pt files of `spec.members`, which are
    asked in this `way`.

    A rehearsal, which times a few steps, takes random weights in place of timm's pretrained ones,
    which it would have to fetch, and an untrained teacher for None (as is given for each that
    learns together with the student);
    `on_demand` decodes even few training images when they are asked for, as the training will all
    of them.

    What contradicts or does not match is refused here, before the first step. All that learns is
    built inside `seeded`, so that it begins alike whatever was built before it.

    Raises:
        DamagedFile: starting weights that cannot be read, or are not finite.
        UnfitTeacher: a given teacher is hardly better than chance.
        UnmetNeeds: a method needs what the scheme does not give.
        UsageError: settings that contradict each other.
        WeightsUnavailable: pretrained weights were asked for and cannot be had.
    """
    recipe, classes = spec.recipe, site.classes
    refuse_contradictions(recipe, spec.model, bool(spec.teachers))
    student = build_learner(spec, site, rehearsal)
    peers = build_peers(spec, student, site, rehearsal)
    start = time.monotonic()  # measured around what grows with the images; a forecast scales it
    images = _stores(spec, site, 0 if on_demand else MOST_BYTES)
    read = time.monotonic()
    taught_by = _taught_by(spec, site, images, teachers, way, rehearsal)
    taught = time.monotonic()
    learning = learning_of(spec, student, (taught_by.training, images[1]), site)
    preparing = time.monotonic() - taught + read - start
    how, answered = taught_by.how, taught_by.answered
    steps = steps_per_epoch(how.samples_per_epoch or len(learning.training), how.batch_size)
    # the first batch of the training: what methods learn is shaped by it, and by its maps' signs
    example = next(answered(training_batches(learning.training, how, 0, 0, site.device)))
    # a rehearsal is one process's own part
    how = shared(how, len(example.labels), launched_as() if rehearsal else current())

    def join(spec: Spec, learners: dict[str, nn.Module], teachers: dict[str, Teacher]) -> Distiller:
        about = _about(spec, learning.training, example, classes, steps)
        return _distiller(spec, site, learners, teachers, example, about)

    # a teacher that learns along has a distiller of its own, on the same batches
    alongside = learning_teachers(
        spec, site, steps, lambda own, tap: join(own, {"student": tap}, {}), rehearsal
    )
    total = steps * int(recipe.train.epochs)
    teaching = followed(spec, taught_by.teachers, teachers, alongside, total)
    distiller = join(spec, {"student": learning.learner, **peers}, teaching)
    tell_of_batch_norms(distiller, recipe.train, len(example.labels), site.progress)
    if recipe.train.compile is True:
        everyone = [distiller, *(one.model for one in alongside.values())]
        compile_models(everyone, example, recipe.train.accumulate, site.progress)
    return Assembled(
        distiller=distiller,
        args=student.args,
        batches=Batches(learning.training, how, site.device),
        answered=answered,
        steps_per_epoch=steps,
        validate=partial(_validate, learning.validation, classes, site.device),
        whole=learning.whole,
        preparing=preparing,
        asking=taught_by.asking,
        transfer=taught_by.transfer,
        alongside=alongside,
    )


def _stores(spec: Spec, site: Site, limit: int) -> tuple[Store, Store]:
    """Of the images to learn from, and of validation."""
    recipe, progress = spec.recipe, site.progress
    training = training_split(spec, site.source)
    return (
        open_training(training, recipe, progress, limit),
        plain_store(site.source.validation, recipe, progress),
    )


@dataclass(frozen=True, eq=False)
class _TaughtBy:
    """Who teaches, from which images, and how they are asked."""

    teachers: dict[str, Teacher]
    training: Store
    how: Batching
    answered: Answered = iter
    asking: PerImage | None = None
    transfer: Transfer | None = None


def _taught_by(
    spec: Spec,
    site: Site,
    images: tuple[Store, Store],
    teachers: Sequence[Path | None],
    way: Way,
    rehearsal: bool,
) -> _TaughtBy:
    """Finished teachers, as models, as what they once answered, or as labels of a transfer set; a
    teacher that still learns could give none of these, which `recipe.conflicts` refuses."""
    how = batching_of(spec, site.classes, images[0].labels)
    if spec.alongside:
        return _TaughtBy({}, images[0], how)
    if scheme_of(spec.recipe).labelled_by_teachers:
        stores = () if rehearsal else way.stores
        found = open_transfer(
            Asking(spec, site), *images, teachers, stores=stores, rehearsal=rehearsal
        )
        how = replace(how, samples_per_epoch=found.samples_per_epoch)
        return _TaughtBy({"teachers": found.teacher}, found.store, how, transfer=found)
    if way.stored and not rehearsal:
        once = open_stored(spec, site, teachers, way, images, how)
        return _TaughtBy(dict(once.teachers), images[0], how, once.answered)
    opened = dict(open_teachers(spec, site, teachers, images[1]))
    if way.stored:
        answers, asking = rehearsed(opened, spec, site, images[0], how)
        return _TaughtBy(answers, images[0], how, asking=asking)
    return _TaughtBy(dict(opened), images[0], how)


def _validate(store: Store, classes: int, device: torch.device, model: nn.Module) -> Validation:
    def ask(rows: slice) -> np.ndarray:
        part = np.arange(len(store))[rows]
        batches = plain_batches(store, num_classes=classes, device=device, rows=part)
        return predict(model, batches, device)

    logits = shared_rows(len(store), PLAIN_BATCH, ask)
    balanced = balanced_accuracy(logits.argmax(1), store.labels, classes)
    return Validation(accuracy(logits, store.labels), balanced, nll(logits, store.labels))


def _about(spec: Spec, training: Store, example: Batch, classes: int, steps: int) -> About:
    """What methods and schemes may know of this training."""
    return About(
        classes,
        len(training),
        steps,
        # parts are nearly equal, see Batch.parts: the smallest is the whole, divided and cut off
        smallest_batch=len(example.labels) // (spec.recipe.train.accumulate * current().size),
        labels=torch.from_numpy(training.labels),
        adapter=spec.recipe.match.adapter,
    )


def _distiller(
    spec: Spec,
    site: Site,
    learners: dict[str, nn.Module],
    teachers: dict[str, Teacher],
    example: Batch,
    about: About,
) -> Distiller:
    """All of them in one; what it skips is said."""
    recipe = spec.recipe
    # a role of its own: parts and adapters are the same whatever models were built before
    with seeded(spec.seed, "distiller"):
        distiller = Distiller(
            scheme_of(recipe),
            learners,
            teachers,
            terms_of(recipe),
            partial(weight_at, recipe.task.weight, epochs=int(recipe.train.epochs)),
            example,
            about,
            recipe.match,
            spec.seed,
        )
    if recipe.train.balance == "loss":  # the baseline's, too: train: is the same for both
        assert about.labels is not None  # of the training images, set above
        weights = torch.from_numpy(class_weights(about.labels.numpy(), about.num_classes))
        distiller.class_weights = weights.to(site.device)
    for line in distiller.skipped:
        site.progress.warn(line)
    return distiller
