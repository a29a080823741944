"""From a spec to what the loop needs: models, teachers, data, and the distiller that joins them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kdcli import catalog
from kdcli.commands.given import begin, start_args
from kdcli.commands.loading import load
from kdcli.data.loader import (
    Store,
    open_store,
    plain_batches,
    steps_per_epoch,
    training_batches,
)
from kdcli.data.source import Source
from kdcli.distiller import Distiller, Term
from kdcli.errors import UnfitTeacher
from kdcli.metrics import accuracy, balanced_accuracy, nll, too_weak
from kdcli.models.build import ModelArgs, build, plan, seeded
from kdcli.models.tap import Tap, predict
from kdcli.models.teachers import Frozen
from kdcli.models.weights import ensure_reachable, licence_warning
from kdcli.progress import Progress
from kdcli.recipe import Recipe, weight_at
from kdcli.records import About, Batch, Scheme, Teacher
from kdcli.spec import Spec


@dataclass(frozen=True, eq=False)
class Assembled:
    """A training, ready to start."""

    distiller: Distiller
    args: ModelArgs
    """Of the model that ships."""
    batches: Callable[[int], Iterator[Batch]]
    """The batches of an epoch."""
    steps_per_epoch: int
    validate: Callable[[], tuple[float, float]]
    """Accuracy and NLL of the student on validation."""


def assemble(
    spec: Spec,
    source: Source,
    teachers: list[Path],
    device: torch.device,
    progress: Progress,
) -> Assembled:
    """Build and check everything; `teachers` are the model.pt files of `spec.teachers`.

    Raises:
        UnfitTeacher: a given teacher is hardly better than chance.
        UnmetNeeds: a method needs what the scheme does not give.
        WeightsUnavailable: pretrained weights were asked for and cannot be had.
    """
    recipe, classes = spec.recipe, len(source.classes)
    size, batch_size = int(recipe.data.image_size), int(recipe.train.batch_size)
    args, student = _student(spec, classes, device, progress)
    training = open_store(source.train, size, progress)
    validation = open_store(source.validation, size, progress)
    taught_by = {
        f"teacher.{i}": _teacher(path, ref.spec is None, recipe, validation, device, progress)
        for i, (path, ref) in enumerate(zip(teachers, spec.teachers, strict=True))
    }

    def batches(epoch: int) -> Iterator[Batch]:
        return training_batches(
            training,
            num_classes=classes,
            batch_size=batch_size,
            seed=spec.seed,
            augment=recipe.data.augment,
            label_smoothing=recipe.task.label_smoothing,
            epoch=epoch,
            epochs=int(recipe.train.epochs),
        )

    steps = steps_per_epoch(len(training), batch_size)
    example = next(batches(0)).to(device)
    about = About(classes, len(training), steps, _classifiers(taught_by))
    with seeded(spec.seed, "distiller"):
        distiller = _distiller(recipe, student, taught_by, example, about)
    for line in distiller.skipped:
        progress.warn(line)
    ships = distiller.ships()

    def validate() -> tuple[float, float]:
        logits = predict(ships, plain_batches(validation, num_classes=classes), device)
        return accuracy(logits, validation.labels), nll(logits, validation.labels)

    return Assembled(distiller, args, batches, steps, validate)


def _student(
    spec: Spec, classes: int, device: torch.device, progress: Progress
) -> tuple[ModelArgs, Tap]:
    """The model that learns; a student and its baseline begin with the same weights."""
    settings, size = spec.recipe.student, int(spec.recipe.data.image_size)
    weights = spec.weights
    args = plan(
        spec.model, classes, size, settings.stem_stride, weights.options if weights else None
    )
    if args.input_size != size:
        progress.say(
            f"{spec.model} does not take {size} pixels: images are resized to its own "
            f"{args.input_size}"
        )
    fetched = bool(settings.pretrained) and weights is None
    if fetched:
        ensure_reachable(spec.model)
        if warning := licence_warning(spec.model):
            progress.warn(warning)
    with seeded(spec.seed, spec.start):
        module = build(args, pretrained=fetched)
    if weights is not None:
        args = start_args(args, weights)
        begin(module, args, weights, progress)
    return args, Tap(module, args, "student", settings.precision).to(device)


def _teacher(
    path: Path,
    given: bool,
    recipe: Recipe,
    validation: Store,
    device: torch.device,
    progress: Progress,
) -> Frozen:
    """A finished teacher, measured on validation before it teaches."""
    loaded = load(path)
    classes = loaded.args.num_classes
    tap = Tap(loaded.module, loaded.args, "teacher", recipe.teacher.precision).to(device)
    logits = predict(tap, plain_batches(validation, num_classes=classes), device)
    share, interval = balanced_accuracy(logits.argmax(1), validation.labels, classes)
    words = (
        f"teacher {path}: balanced validation accuracy {share:.3f} "
        f"(95% CI {interval.low:.3f} to {interval.high:.3f})"
    )
    if not too_weak(interval, classes):
        progress.say(words)
        return Frozen(tap)
    words += f", hardly better than chance ({1 / classes:.3f})"
    if given and not recipe.teacher.allow_weak:
        foreign = loaded.file.provenance.get("role") == "given"
        raise UnfitTeacher(
            words,
            f"give a better teacher, {_IF_FOREIGN if foreign else ''}or go on with "
            "--set teacher.allow_weak=true",
        )
    progress.warn(f"{words}: a student has little to learn from it")
    return Frozen(tap)


_IF_FOREIGN = (
    "say the order of its classes (--classes FILE) or the image size it was trained for "
    "(--set data.image_size=N), "
)


def _classifiers(teachers: dict[str, Frozen]) -> dict[str, Any]:
    """Each teacher's last layer, for adapters that reuse it."""
    modules: dict[str, Any] = {name: teacher.tap.module for name, teacher in teachers.items()}
    return {name: module.get_classifier() for name, module in modules.items()}


def _distiller(
    recipe: Recipe, student: Tap, teachers: dict[str, Frozen], example: Batch, about: About
) -> Distiller:
    epochs = int(recipe.train.epochs)
    scheme: Scheme = catalog.load("schemes", recipe.scheme.name)(**recipe.scheme.options)
    terms = tuple(
        Term(
            name,
            catalog.load("methods", use.use or name)(**use.options),
            partial(weight_at, use.weight, epochs=epochs),
        )
        for name, use in recipe.methods.items()
    )
    taught_by: dict[str, Teacher] = dict(teachers)
    return Distiller(
        scheme=scheme,
        learners={"student": student},
        teachers=taught_by,
        terms=terms,
        task_weight=partial(weight_at, recipe.task.weight, epochs=epochs),
        example=example,
        about=about,
    )
