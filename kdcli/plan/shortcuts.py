"""What would make a long training shorter: the same job, with one thing changed, so that what is
said of it can be rehearsed, and asked for by one flag."""

import math
from dataclasses import dataclass
from typing import Any

from kdcli.data.source import Source
from kdcli.models.cards import smaller_sibling
from kdcli.plan.defaults import head_only
from kdcli.recipe.edit import update
from kdcli.recipe.load import scheme_of
from kdcli.runs.spec import Spec

SMALLER = 160
"""Pixels of a side: half the arithmetic of 224 (resnet50 0.51, mobilenetv3_small_100 0.53 of the
MACs)."""

GRAIN = 32
"""Most models shrink an image by this, so sizes are its multiples."""


@dataclass(frozen=True)
class Shortcut:
    """One change, how it is asked for, and the job that it makes."""

    what: str
    ask: str
    """`--set teacher.tune=head`."""
    spec: Spec


def shortcuts(spec: Spec, source: Source, side: float) -> list[Shortcut]:
    """Head only, a smaller teacher (or model), smaller images: those that apply.

    `side` is the typical shorter side of the images as they are, in pixels.
    """
    found = [_head_only(spec, source), _smaller_model(spec), _smaller_images(spec, side)]
    return [one for one in found if one is not None]


def _head_only(spec: Spec, source: Source) -> Shortcut | None:
    """Only of a pretrained trunk: a random one has nothing to keep."""
    big = _big(spec)
    if big is None or big.recipe.train.tune == "head" or not big.recipe.student.pretrained:
        return None
    fitted = big.model_copy(update={"recipe": update(big.recipe, head_only(big.recipe, source))})
    ask = "--set teacher.tune=head" if spec.teachers else "--set train.tune=head"
    return Shortcut("only the classifier of the big model", ask, _with(spec, fitted))


def _smaller_model(spec: Spec) -> Shortcut | None:
    """Not of given weights: nobody has said that there are such of a smaller model."""
    big = _big(spec)
    if big is None or big.weights is not None or not (name := smaller_sibling(big.model)):
        return None
    smaller = big.model_copy(update={"model": name})
    ask = f"--teacher {name}" if spec.teachers else f"kd train {name}"
    return Shortcut("a smaller model of its kind", ask, _with(spec, smaller))


def _smaller_images(spec: Spec, side: float) -> Shortcut | None:
    now, size = int(spec.recipe.data.image_size), GRAIN * math.ceil(side / GRAIN)
    # where they are smaller by a third or more than what the model is fed: about as they are
    if enlarged := 3 * size <= 2 * now:
        what = f"images of {size} pixels (of {side:g} now, enlarged to {now})"
    else:
        what, size = f"images of {SMALLER} pixels", SMALLER
    if now <= SMALLER and not enlarged:
        return None
    smaller = _resized(spec, {"data.image_size": size})
    return Shortcut(what, f"--set data.image_size={size}", smaller)


def _resized(spec: Spec, change: dict[str, Any]) -> Spec:
    """The same for everyone that is to be trained: images have one size in a run."""
    teachers = tuple(
        ref.model_copy(update={"spec": _resized(ref.spec, change)}) if ref.spec else ref
        for ref in spec.teachers
    )
    return spec.model_copy(update={"recipe": update(spec.recipe, change), "teachers": teachers})


def _big(spec: Spec) -> Spec | None:
    """The teacher at the top, where it is the only one and to be trained; without, the model;
    nobody, where models of one size teach each other."""
    if scheme_of(spec.recipe).teaches_itself:
        return None
    if not spec.teachers:
        return spec
    (ref, *others) = spec.teachers
    return None if others or ref.spec is None else _big(ref.spec)


def _with(spec: Spec, big: Spec) -> Spec:
    """The same with another one at the top."""
    if not spec.teachers:
        return big
    (ref,) = spec.teachers
    above = _with(ref.spec, big) if ref.spec else big
    teacher = ref.model_copy(update={"model": above.model, "spec": above})
    return spec.model_copy(update={"teachers": (teacher,)})
