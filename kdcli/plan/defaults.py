"""What `auto` means: decided by the data, the models and the device, and written to the run.

Decided once: what belongs to a run later (its baseline, further seeds) has the same values. Never
by a timing, since all of it is part of the run's digest.
"""

from typing import Any

import torch

from kdcli.data.defaults import fitted
from kdcli.data.loader import steps_per_epoch
from kdcli.data.source import Defaults, Schedule, Source
from kdcli.data.subset import labelled
from kdcli.evaluation.cost import parameters
from kdcli.models.build import build_meta, own_crop_pct, own_size, plan
from kdcli.models.precision import resolve_precision
from kdcli.models.weights import has_weights
from kdcli.recipe.data import CROPS
from kdcli.recipe.edit import fill_auto
from kdcli.recipe.load import scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.training.answers.decide import VIEWS, why_live

TRUNK_LR = 0.1
"""Of a pretrained trunk: what it knows is to be moved, not to be lost."""

HEAD_ONLY = Schedule(epochs=100, batch_size=64, lr=1e-2, patience=20)
"""A classifier on embeddings: an epoch takes next to no time, and patience ends it sooner. One rate
for every trunk, whose embeddings are brought to one scale first (`models.head_only.head_of`)."""

WORTH_COMPILING = 5_000
"""Steps for each model: compiling one takes about a minute, and a step of a small one on a GPU
mostly waits for operations to be started, some ten milliseconds. Not measured on a GPU."""


def resolve_recipe(
    recipe: Recipe, model: str, teachers: tuple[str, ...], source: Source, device: torch.device
) -> Recipe:
    """The recipe without any `auto`, for `model`, taught by `teachers` (none: from labels)."""
    return fill_auto(recipe, auto_values(recipe, model, teachers, source, device))


def head_only(recipe: Recipe, source: Source) -> dict[str, Any]:
    """What fitting the classifier alone comes down to, by the recipe's keys: no trunk to slow down,
    no images to vary, for each is shown to the trunk once."""
    schedule = fitted(HEAD_ONLY, epoch_images(recipe, source), len(source.validation))
    return {
        "train.tune": "head",
        "train.epochs": HEAD_ONLY.epochs,  # enough of them, however few the images
        "train.batch_size": schedule.batch_size,
        "train.lr": schedule.lr,
        "train.patience": schedule.patience,
        "train.trunk_lr": 1.0,
        "data.augment": None,
    }


def auto_values(
    recipe: Recipe, model: str, teachers: tuple[str, ...], source: Source, device: torch.device
) -> dict[str, Any]:
    """What `auto` means for this model on these data, by the recipe's keys.

    Several teachers have one precision: the one that suits them all, else fp32; and begin with
    timm's weights where all of them can.
    """
    defaults, classes = source.defaults, len(source.classes)
    pretrained = recipe.student.pretrained
    if pretrained == "auto":
        pretrained = _begins_pretrained(model, defaults)
    size = own_size(model) if defaults.own_size else defaults.image_size
    if isinstance(recipe.data.image_size, int):  # a model may take no other
        size = recipe.data.image_size
    # on the meta device: the schedule goes by parameters, the precision by kinds of layers
    meta = build_meta(plan(model, classes, size, None))
    usual = defaults.schedule(parameters(meta))
    epoch = epoch_images(recipe, source)
    schedule = fitted(usual, epoch, len(source.validation))
    values: dict[str, Any] = {
        "data.image_size": size,
        "data.augment": defaults.augment,
        "train.epochs": schedule.epochs,
        "train.epoch_images": epoch if epoch != images_left(recipe, source) else None,
        "train.batch_size": schedule.batch_size,
        "train.lr": schedule.lr,
        "train.patience": schedule.patience,
        "train.trunk_lr": TRUNK_LR if pretrained else 1.0,
        "train.compile": False,
        "student.pretrained": pretrained,
        "student.precision": resolve_precision("auto", meta, device),
        "teacher.pretrained": False,
        "teacher.precision": "fp32",
        "teacher.views": _views(recipe, schedule.epochs),
    }
    if recipe.train.tune == "head":
        values |= head_only(recipe, source)
    augment = recipe.data.augment
    values["data.crop_pct"] = usual_crop_pct(
        model, size, defaults, values["data.augment"] if augment == "auto" else augment
    )
    if teachers:
        # each architecture once: a thousand members are one
        metas = [build_meta(plan(name, classes, size, None)) for name in dict.fromkeys(teachers)]
        suit = {resolve_precision("auto", meta, device) for meta in metas}
        values["teacher.pretrained"] = all(_begins_pretrained(one, defaults) for one in teachers)
        values["teacher.precision"] = suit.pop() if len(suit) == 1 else "fp32"
    if device.type == "cuda" and recipe.train.tune == "all":
        train = fill_auto(recipe, values).train
        steps = int(train.epochs) * steps_per_epoch(max(1, epoch), int(train.batch_size))
        values["train.compile"] = steps >= WORTH_COMPILING * (1 + len(teachers))
    return values


def usual_crop_pct(model: str, size: int, defaults: Defaults, augment: str | None) -> float:
    """timm's of the model for photographs that it learns random crops of; small pictures, digits
    say, must not lose their edges."""
    return own_crop_pct(model, size) if defaults.own_size and augment in CROPS else 1.0


def _views(recipe: Recipe, usual: int) -> int:
    """As many as epochs; fewer where a person wants answers stored that can be."""
    epochs = usual if recipe.train.epochs == "auto" else recipe.train.epochs
    fewer = recipe.teacher.answers == "stored" and not why_live(recipe)
    return min(VIEWS, epochs) if fewer else epochs


def epoch_images(recipe: Recipe, source: Source) -> int:
    """Of an epoch, about. Where a part of each batch has labels, both kinds are passed through."""
    known, share = images_left(recipe, source), recipe.data.labelled_share
    if share is not None and recipe.train.epoch_images == "auto":
        further = len(source.unlabelled) if source.unlabelled else 0
        unknown = round(len(source.train) * _share_left(recipe)) + further - known
        known = max(known, round(unknown / (1 - share)))
    return recipe.train.epoch_of(known)


def images_left(recipe: Recipe, source: Source) -> int:
    """How many training images data.subset and data.hidden leave, about: of those with labels, by
    which the length of an epoch goes."""
    hidden = 0.0 if scheme_of(recipe).labelled_by_teachers else recipe.data.hidden
    return round(len(labelled(source.train, hidden)) * _share_left(recipe))


def _share_left(recipe: Recipe) -> float:
    subset = recipe.data.subset
    return sum(subset) / 2 if isinstance(subset, tuple) else subset


def _begins_pretrained(model: str, defaults: Defaults) -> bool:
    """Photographs look like what the weights were made for; a name with a tag asks for them."""
    return (defaults.pretrained or "." in model) and has_weights(model)
