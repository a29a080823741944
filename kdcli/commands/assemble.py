"""From a spec to what the loop needs: models, teachers, data, and the distiller that joins them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from kdcli import catalog
from kdcli.commands.contradictions import refuse_contradictions
from kdcli.commands.given import begin, start_args
from kdcli.commands.teacher import open_teachers
from kdcli.commands.transfer import Transfer, open_transfer
from kdcli.data.balance import class_weights
from kdcli.data.loader import (
    Store,
    open_store,
    plain_batches,
    steps_per_epoch,
    training_batches,
)
from kdcli.data.source import Source
from kdcli.data.store import MOST_BYTES, InMemory
from kdcli.data.subset import training_split
from kdcli.distiller import Distiller, Term
from kdcli.epochs import Validation
from kdcli.metrics import accuracy, balanced_accuracy, nll
from kdcli.models.build import ModelArgs, build, plan, seeded
from kdcli.models.correspondences import correspondences
from kdcli.models.head import embed, head_of
from kdcli.models.licences import licence_warning
from kdcli.models.tap import Tap, predict
from kdcli.models.teachers import Frozen, Recorded
from kdcli.models.weights import ensure_reachable
from kdcli.progress import Progress
from kdcli.recipe import Recipe, stored_size, weight_at
from kdcli.recipe_file import needs_teacher, scheme_of
from kdcli.records import About, Batch, Method, Teacher
from kdcli.spec import Spec

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Assembled:
    """A training, ready to start."""

    distiller: Distiller
    args: ModelArgs
    """Of the model that ships."""
    batches: Callable[[int], Iterator[Batch]]
    """The batches of an epoch."""
    steps_per_epoch: int
    validate: Callable[[nn.Module], Validation]
    """What a model that would ship answers on the validation images."""
    whole: Callable[[Weights], Weights]
    """The state dict of the model that ships, with timm's own keys, from the learnt weights."""
    preparing: float
    """Seconds of what was done to every image: read, and with tune=head shown to the trunk."""
    transfer: Transfer | None = None
    """What takes the place of the training images, where teachers label."""


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
    which it would have to fetch, and an untrained teacher for None;
    `on_demand` decodes even few training images when they are asked for. `recorded` is where the
    teachers' answers to a transfer set may be found.

    Raises:
        DamagedFile: starting weights that cannot be read, or are not finite.
        UnfitTeacher: a given teacher is hardly better than chance.
        UnmetNeeds: a method needs what the scheme does not give.
        UsageError: settings that contradict each other.
        WeightsUnavailable: pretrained weights were asked for and cannot be had.
    """
    recipe, classes = spec.recipe, len(source.classes)
    train, size = recipe.train, int(recipe.data.image_size)
    refuse_contradictions(spec)
    args, student = _student(spec, classes, device, progress, rehearsal)
    clock = time.monotonic()
    limit = 0 if on_demand else MOST_BYTES
    seen = training_split(spec, source)
    training = open_store(seen, stored_size(recipe), progress, limit)
    validation = open_store(source.validation, size, progress)
    preparing = time.monotonic() - clock
    transfer: Transfer | None = None
    taught_by: dict[str, Frozen | Recorded] = {}
    if scheme_of(recipe).labelled_by_teachers:
        transfer = open_transfer(
            spec,
            source,
            training,
            validation,
            teachers,
            device,
            progress,
            recorded=recorded,
            rehearsal=rehearsal,
        )
        training, taught_by["teachers"] = transfer.store, transfer.teacher
    else:
        taught_by |= open_teachers(spec, teachers, classes, validation, device, progress)
    learner: nn.Module = student
    whole: Callable[[Weights], Weights] = _timm_keys
    if train.tune == "head":
        clock = time.monotonic()
        stores = training, validation
        learner, whole, training, validation = _head_only(
            student, *stores, classes, device, progress
        )
        preparing += time.monotonic() - clock
    shown = transfer.samples_per_epoch if transfer else None
    batches = partial(_batches, spec, training, classes, shown)
    steps = steps_per_epoch(shown or len(training), int(train.batch_size))
    example = next(batches(0, workers=0)).to(device)
    about = About(
        classes,
        len(training),
        steps,
        smallest_batch=len(example.labels) // train.accumulate,
        labels=torch.from_numpy(training.labels),
        adapter=recipe.match.adapter,
    )
    with seeded(spec.seed, "distiller"):
        distiller = _distiller(spec, learner, taught_by, example, about)
    if train.balance == "loss":
        weights = torch.from_numpy(class_weights(training.labels, classes))
        distiller.class_weights = weights.to(device)
    for line in distiller.skipped:
        progress.warn(line)

    validate = partial(_validate, validation, classes, device)
    return Assembled(distiller, args, batches, steps, validate, whole, preparing, transfer)


def _head_only(
    student: Tap,
    training: Store,
    validation: Store,
    classes: int,
    device: torch.device,
    progress: Progress,
) -> tuple[nn.Module, Callable[[Weights], Weights], Store, Store]:
    """The classifier alone, how it becomes whole again, and what its trunk says of every image."""
    seen = _embedded(student, training, classes, device, progress)
    held_out = _embedded(student, validation, classes, device, progress)
    mean, std = seen.mean(0), seen.std(0).clamp(min=1e-6)
    learner, whole = head_of(student, mean, std)
    return (
        learner,
        whole,
        InMemory((seen - mean) / std, training.labels),
        InMemory((held_out - mean) / std, validation.labels),
    )


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


def _timm_keys(weights: Weights) -> Weights:
    """A tap holds its module under `module.`."""
    return {key.removeprefix("module."): value for key, value in weights.items()}


def _embedded(
    tap: Tap, store: Store, classes: int, device: torch.device, progress: Progress
) -> Tensor:
    """(N, D): what the trunk says of every image."""
    batches = plain_batches(store, num_classes=classes, batch_size=64)
    waited = progress.track(batches, -(-len(store) // 64), "trunk over the images")
    return embed(tap, waited, device)


def _student(
    spec: Spec, classes: int, device: torch.device, progress: Progress, rehearsal: bool
) -> tuple[ModelArgs, Tap]:
    """The model that learns; a student and its baseline begin with the same weights."""
    settings, size = spec.recipe.student, int(spec.recipe.data.image_size)
    weights = spec.weights
    args = plan(
        spec.model, classes, size, settings.stem_stride, weights.options if weights else None
    )
    args = replace(args, **scheme_of(spec.recipe).student_args(len(spec.members)))
    if args.input_size != size:
        progress.say(
            f"{spec.model} does not take {size} pixels: images are resized to its own "
            f"{args.input_size}"
        )
    fetched = bool(settings.pretrained) and weights is None and not rehearsal
    if fetched:
        ensure_reachable(spec.model)
        if warning := licence_warning(spec.model):
            progress.warn(warning)
    with seeded(spec.seed, spec.start):
        module = build(args, pretrained=fetched)
    if weights is not None:  # in a rehearsal too: what does not fit is told before the training
        args = start_args(args, weights)
        begin(module, args, weights, progress)
    return args, Tap(module, args, "student", settings.precision).to(device)


def _distiller(
    spec: Spec,
    student: nn.Module,
    teachers: dict[str, Frozen | Recorded],
    example: Batch,
    about: About,
) -> Distiller:
    recipe, epochs = spec.recipe, int(spec.recipe.train.epochs)
    if not needs_teacher(recipe):
        teachers = {}  # only compared against
    methods = methods_of(recipe)
    terms = tuple(
        Term(name, method, partial(weight_at, recipe.methods[name].weight, epochs=epochs))
        for name, method in methods.items()
    )
    taught_by: dict[str, Teacher] = dict(teachers)
    matched = correspondences(
        methods.values(),
        {"student": student} if isinstance(student, Tap) else {},
        {name: one.tap for name, one in teachers.items() if isinstance(one, Frozen)},
        example.images[:2],
        recipe.match.pairs,
    )
    return Distiller(
        scheme=scheme_of(recipe),
        learners={"student": student},
        teachers=taught_by,
        terms=terms,
        task_weight=partial(weight_at, recipe.task.weight, epochs=epochs),
        example=example,
        about=about,
        correspondences=matched,
        augment=recipe.match.augment,
        seed=spec.seed,
    )


def methods_of(recipe: Recipe) -> dict[str, Method]:
    """The recipe's methods with their options, by the names of their terms."""
    return {
        name: catalog.load("methods", use.use or name)(**use.options)
        for name, use in recipe.methods.items()
    }
