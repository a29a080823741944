"""From a spec to what the loop needs: models, teachers, data, and the distiller that joins them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdcli.core.progress import Progress
from kdcli.core.records import About, Batch, Teacher
from kdcli.data.balance import class_weights
from kdcli.data.loader import plain_batches, steps_per_epoch, training_batches
from kdcli.data.source import Source
from kdcli.data.store import MOST_BYTES, Store, open_store
from kdcli.data.subset import training_split
from kdcli.evaluation.metrics import accuracy, balanced_accuracy, nll
from kdcli.models.build import seeded
from kdcli.models.checkpoint import Weights
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap, predict
from kdcli.recipe.conflicts import refuse_contradictions
from kdcli.recipe.edit import stored_size
from kdcli.recipe.load import scheme_of
from kdcli.recipe.weight import weight_at
from kdcli.runs.spec import Spec
from kdcli.training.ask_teachers import Asking
from kdcli.training.distiller import Distiller
from kdcli.training.learner import (
    Learning,
    all_of_it,
    build_learner,
    build_peers,
    head_only,
    timm_keys,
)
from kdcli.training.resume import Validation
from kdcli.training.stepper import Stepper
from kdcli.training.teachers import open_teachers
from kdcli.training.terms import _terms, join
from kdcli.training.trajectory import followed, learning_teachers
from kdcli.training.transfer_set import Transfer, open_transfer


@dataclass(frozen=True, eq=False)
class Assembled:
    """A training, ready to start."""

    distiller: Distiller
    args: ModelArgs
    """Of the student."""
    batches: Callable[[int], Iterator[Batch]]
    """The batches of an epoch."""
    steps_per_epoch: int
    validate: Callable[[nn.Module], Validation]
    """What a model that would ship answers on the validation images."""
    whole: Callable[[Weights], Weights]
    """The student's state dict, with timm's own keys, from the learnt weights."""
    preparing: float
    """Seconds of what was done to every image: read, and with tune=head shown to the trunk."""
    transfer: Transfer | None = None
    """What takes the place of the training images, where teachers label."""
    alongside: dict[str, Stepper] = field(default_factory=dict)
    """Teachers that learn at the same steps."""

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
    source: Source,
    teachers: Sequence[Path | None],
    device: torch.device,
    progress: Progress,
    *,
    rehearsal: bool = False,
    on_demand: bool = False,
    recorded: Path | None = None,
) -> Assembled:
    """Build and check everything; `teachers` are the model.pt files of `spec.members`.

    A rehearsal, which times a few steps, takes random weights in place of timm's pretrained ones,
    which it would have to fetch, and an untrained teacher for None (as is given for each that
    learns together with the student);
    `on_demand` decodes even few training images when they are asked for. `recorded` is where the
    teachers' answers to a transfer set may be found.

    Raises:
        DamagedFile: starting weights that cannot be read, or are not finite.
        UnfitTeacher: a given teacher is hardly better than chance.
        UnmetNeeds: a method needs what the scheme does not give.
        UsageError: settings that contradict each other.
        WeightsUnavailable: pretrained weights were asked for and cannot be had.
    """
    refuse_contradictions(spec.recipe, spec.model, bool(spec.teachers))
    asking = Asking(spec, source, device, progress)
    args, student = build_learner(spec, asking.classes, device, progress, rehearsal)
    peers = build_peers(spec, student, device, progress, rehearsal)
    start = time.monotonic()
    training, validation = _stores(asking, 0 if on_demand else MOST_BYTES)
    read = time.monotonic()
    training, taught_by, transfer = _taught(
        asking, training, validation, teachers, recorded, rehearsal
    )
    taught = time.monotonic()
    learning = _learning(asking, student, training, validation)
    preparing = time.monotonic() - taught + read - start
    shown = transfer.samples_per_epoch if transfer else None
    batches = partial(_batches, spec, learning.training, asking.classes, shown)
    steps = steps_per_epoch(shown or len(learning.training), int(spec.recipe.train.batch_size))
    example = next(batches(0, workers=0)).to(device)
    join = partial(_distiller, training=learning.training, example=example, steps_per_epoch=steps)
    alongside = learning_teachers(
        asking, steps, lambda own, tap: join(own, {"student": tap}, {}), rehearsal
    )
    total = steps * int(spec.recipe.train.epochs)
    teaching = followed(spec, taught_by, teachers, alongside, total)
    distiller = join(asking, {"student": learning.learner, **peers}, teaching)
    validate = partial(_validate, learning.validation, asking.classes, device)
    whole = learning.whole
    return Assembled(
        distiller, args, batches, steps, validate, whole, preparing, transfer, alongside
    )


def _stores(asking: Asking, limit: int) -> tuple[Store, Store]:
    """Of the images to learn from, and of validation."""
    spec, source, progress = asking.spec, asking.source, asking.progress
    training = open_store(training_split(spec, source), stored_size(spec.recipe), progress, limit)
    return training, open_store(source.validation, asking.image_size, progress)


def _taught(
    asking: Asking,
    training: Store,
    validation: Store,
    teachers: Sequence[Path | None],
    recorded: Path | None,
    rehearsal: bool,
) -> tuple[Store, dict[str, Teacher], Transfer | None]:
    """The images to learn from, and the teachers; of a transfer set, what they have answered."""
    spec, device, progress = asking.spec, asking.device, asking.progress
    if spec.alongside:
        return training, {}, None
    if not scheme_of(spec.recipe).labelled_by_teachers:
        live = open_teachers(spec, teachers, asking.classes, validation, device, progress)
        return training, dict(live), None
    transfer = open_transfer(
        asking, training, validation, teachers, recorded=recorded, rehearsal=rehearsal
    )
    return transfer.store, {"teachers": transfer.teacher}, transfer


def _learning(asking: Asking, student: Tap, training: Store, validation: Store) -> Learning:
    if asking.spec.recipe.train.tune == "all":
        return all_of_it(student, training, validation)
    return head_only(student, training, validation, asking.classes, asking.device, asking.progress)


def _batches(
    spec: Spec,
    store: Store,
    classes: int,
    samples_per_epoch: int | None,
    epoch: int,
    workers: int | None = None,
) -> Iterator[Batch]:
    recipe, train = spec.recipe, spec.recipe.train
    return training_batches(
        store,
        num_classes=classes,
        batch_size=int(train.batch_size),
        seed=spec.seed,
        augment=recipe.data.augment,
        randaugment=recipe.data.randaugment,
        label_smoothing=recipe.task.label_smoothing,
        balance=train.balance,
        mixup=train.mixup,
        cutmix=train.cutmix,
        image_size=None if train.tune == "head" else int(recipe.data.image_size),
        epoch=epoch,
        epochs=int(train.epochs),
        samples_per_epoch=samples_per_epoch,
        workers=workers,
    )


def _validate(store: Store, classes: int, device: torch.device, model: nn.Module) -> Validation:
    logits = predict(model, plain_batches(store, num_classes=classes), device)
    balanced, _ = balanced_accuracy(logits.argmax(1), store.labels, classes)
    return Validation(accuracy(logits, store.labels), balanced, nll(logits, store.labels))


def _distiller(
    asking: Asking,
    learners: dict[str, nn.Module],
    teachers: dict[str, Teacher],
    training: Store,
    example: Batch,
    steps_per_epoch: int,
) -> Distiller:
    """All of them in one; what it skips is said."""
    spec, recipe, labels = asking.spec, asking.spec.recipe, training.labels
    about = About(
        asking.classes,
        len(labels),
        steps_per_epoch,
        smallest_batch=len(example.labels) // recipe.train.accumulate,
        labels=torch.from_numpy(labels),
        adapter=recipe.match.adapter,
    )
    task_weight = partial(weight_at, recipe.task.weight, epochs=int(recipe.train.epochs))
    with seeded(spec.seed, "distiller"):
        distiller = join(
            scheme_of(recipe),
            learners,
            teachers,
            _terms(recipe),
            task_weight,
            example,
            about,
            recipe.match,
            spec.seed,
        )
    if recipe.train.balance == "loss":
        weights = torch.from_numpy(class_weights(labels, asking.classes))
        distiller.class_weights = weights.to(asking.device)
    for line in distiller.skipped:
        asking.progress.warn(line)
    return distiller
