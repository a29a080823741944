"""A finished teacher, opened and measured before it teaches."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kdcli.commands.loading import load
from kdcli.data.loader import Store, open_store, plain_batches
from kdcli.data.source import Source
from kdcli.errors import UnfitTeacher
from kdcli.metrics import accuracy_if_renamed, balanced_accuracy, too_weak
from kdcli.models.build import build, plan
from kdcli.models.tap import Tap, predict
from kdcli.models.teachers import Frozen
from kdcli.progress import Progress
from kdcli.recipe import Recipe
from kdcli.spec import Spec, TeacherRef


def open_teacher(
    by: str,
    path: Path | None,
    ref: TeacherRef,
    recipe: Recipe,
    classes: int,
    validation: Store,
    device: torch.device,
    progress: Progress,
) -> Frozen:
    """A finished teacher, measured on validation before it teaches."""
    if path is None:  # of a rehearsal
        return Frozen(stand_in(by, ref, recipe, classes).to(device))
    loaded = load(path)
    classes = loaded.args.num_classes
    tap = Tap(loaded.module, loaded.args, by, recipe.teacher.precision).to(device)
    logits = predict(tap, plain_batches(validation, num_classes=classes), device)
    answers = logits.argmax(1)
    share, interval = balanced_accuracy(answers, validation.labels, classes)
    words = (
        f"teacher {path}: balanced validation accuracy {share:.3f} "
        f"(95% CI {interval.low:.3f} to {interval.high:.3f})"
    )
    if ref.spec is None and not recipe.teacher.allow_weak:
        _refuse_other_order(answers, validation, classes, path)
    if not too_weak(interval, classes):
        progress.say(words)
        return Frozen(tap)
    words += f", hardly better than chance ({1 / classes:.3f})"
    if ref.spec is None and not recipe.teacher.allow_weak:
        foreign = loaded.file.provenance.get("role") == "given"
        raise UnfitTeacher(
            words,
            f"give a better teacher, {_IF_FOREIGN if foreign else ''}or go on with "
            "--set teacher.allow_weak=true",
        )
    progress.warn(f"{words}: a student has little to learn from it")
    return Frozen(tap)


def measure_given(spec: Spec, source: Source, device: torch.device, progress: Progress) -> None:
    """Open every teacher that need not be trained, for what is then said or refused."""
    if any(ref.path for ref in spec.members):
        store = open_store(source.validation, int(spec.recipe.data.image_size), progress)
        measure_on(store, spec, len(source.classes), device, progress)


def measure_on(
    validation: Store, spec: Spec, classes: int, device: torch.device, progress: Progress
) -> None:
    """The same, on images that are at hand."""
    for i, ref in enumerate(spec.members):
        if ref.path:
            by, path = f"teacher.{i}", Path(ref.path)
            open_teacher(by, path, ref, spec.recipe, classes, validation, device, progress)


def stand_in(by: str, ref: TeacherRef, recipe: Recipe, classes: int) -> Tap:
    """An untrained model in a teacher's place."""
    args = plan(ref.model, classes, int(recipe.data.image_size), recipe.teacher.stem_stride)
    return Tap(build(args), args, by, recipe.teacher.precision)


_IF_FOREIGN = (
    "say the order of its classes (--classes FILE) or the image size it was trained for "
    "(--set data.image_size=N), "
)


def _refuse_other_order(
    answers: NDArray[np.int64], validation: Store, classes: int, path: Path
) -> None:
    """A good teacher whose classes stand in another order than the data's teaches nonsense."""
    right = float((answers == validation.labels).mean())
    renamed = accuracy_if_renamed(answers, validation.labels, classes)
    if renamed > 2 * right and renamed - right > 0.2:
        raise UnfitTeacher(
            f"teacher {path}: right on {right:.0%} of the validation images, but on {renamed:.0%} "
            "if its classes had other names: they seem to stand in another order than the data's",
            "name them in their own order with --classes labels.txt, or go on with "
            "--set teacher.allow_weak=true",
        )
