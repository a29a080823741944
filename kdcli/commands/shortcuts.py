"""What would make a long training shorter: the same job, with one thing changed."""

import math
from dataclasses import dataclass

from kdcli.commands.defaults import head_only
from kdcli.models.siblings import smaller_sibling
from kdcli.recipe import update
from kdcli.spec import Spec

SMALLER = 160
"""Pixels of a side: half the arithmetic of 224."""

GRAIN = 32
"""Most models shrink an image by this, so sizes are its multiples."""


@dataclass(frozen=True)
class Shortcut:
    """One change, how it is asked for, and the job that it makes."""

    what: str
    ask: str
    """`--set teacher.tune=head`."""
    spec: Spec


def shortcuts(spec: Spec, side: float) -> list[Shortcut]:
    """Head only, a smaller teacher (or model), smaller images: those that apply.

    `side` is the typical shorter side of the images as they are, in pixels.
    """
    found = [_head_only(spec), _smaller_model(spec), _smaller_images(spec, side)]
    return [one for one in found if one is not None]


def _head_only(spec: Spec) -> Shortcut | None:
    big = _big(spec)
    if big is None or big.recipe.train.tune == "head" or not big.recipe.student.pretrained:
        return None
    fitted = big.model_copy(update={"recipe": update(big.recipe, head_only())})
    ask = "--set teacher.tune=head" if spec.teachers else "--set train.tune=head"
    return Shortcut("only the classifier of the big model", ask, _with(spec, fitted))


def _smaller_model(spec: Spec) -> Shortcut | None:
    big = _big(spec)
    if big is None or big.weights is not None or not (name := smaller_sibling(big.model)):
        return None
    smaller = big.model_copy(update={"model": name})
    ask = f"--teacher {name}" if spec.teachers else f"kd train {name}"
    return Shortcut("a smaller model of its kind", ask, _with(spec, smaller))


def _smaller_images(spec: Spec, side: float) -> Shortcut | None:
    now, size = int(spec.recipe.data.image_size), GRAIN * math.ceil(side / GRAIN)
    if enlarged := 3 * size <= 2 * now:
        what = f"images of {size} pixels (of {side:g} now, enlarged to {now})"
    else:
        what, size = f"images of {SMALLER} pixels", SMALLER
    if now <= SMALLER and not enlarged:
        return None
    change = {"data.image_size": size}
    smaller = spec.model_copy(update={"recipe": update(spec.recipe, change)})
    if (big := _big(spec)) is not None:
        big = big.model_copy(update={"recipe": update(big.recipe, change)})
        smaller = _with(smaller, big) if spec.teachers else big
    return Shortcut(what, f"--set data.image_size={size}", smaller)


def _big(spec: Spec) -> Spec | None:
    """The teacher, where it is to be trained; without teachers, the model itself."""
    return spec.teachers[0].spec if spec.teachers else spec


def _with(spec: Spec, big: Spec) -> Spec:
    if not spec.teachers:
        return big
    teacher = spec.teachers[0].model_copy(update={"model": big.model, "spec": big})
    return spec.model_copy(update={"teachers": (teacher, *spec.teachers[1:])})
