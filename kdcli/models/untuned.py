"""Weights as they are: a teacher that is never trained on the data (`teacher.tune: none`), with the
classes and the image size that it has."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress
from kdcli.models.adopt import adopt, in_folder, listed, numbered, own_names, place_of, write
from kdcli.models.build import build, own_size, plan
from kdcli.models.given import Given, read, size_of
from kdcli.models.licences import licence_of, weights_name
from kdcli.models.model_args import ModelArgs
from kdcli.models.weights import ensure_reachable, has_weights
from kdcli.runs.spec import DataRef


def given_as_it_is(
    given: Given,
    size: int | None,
    classes: tuple[str, ...],
    data: DataRef,
    labels: tuple[str, ...] | None,
    progress: Progress,
) -> Path | None:
    """A model.pt of given weights with their own classes, fed `size` pixels (None: as they were
    trained), whatever that of the images; None where their classes are those of the data, or may
    be: as many, which nobody names. `labels` are the names that --classes gives.

    Raises:
        DamagedFile: the file is damaged, not finite, or holds code.
        UsageError: the weights of another model, or `labels` are fewer or more than its classes.
    """
    size = size_of(given, size)
    found = read(given, size, progress)
    named = own_names(found, given, labels, progress)
    names = named or numbered(found)
    same = set(named) == set(classes) if named else len(names) == len(classes)
    if same:
        return None
    place = place_of(given, (), data, (size,), names)
    if not place.is_file():
        adopt(given, found, names, place)
    _say(given.thing, names, found.args, place, progress)
    return place


def timm_as_it_is(
    name: str, size: int | None, classes: tuple[str, ...], data: DataRef, progress: Progress
) -> Path:
    """The same of timm's pretrained weights; as many classes as the data have are taken for these.

    Raises:
        UsageError: timm has none of this name.
        WeightsUnavailable: neither cache nor network has them.
    """
    if not has_weights(name):
        raise UsageError(
            f"teacher.tune=none takes {name} as it is, and timm has no pretrained weights of it: "
            "an untrained network teaches nothing",
            "another model (kd list models --pretrained), a file or a finished run "
            "(--teacher NAME=FILE, --teacher RUN), or --set teacher.tune=all",
        )
    config: Any = timm.get_pretrained_cfg(name)
    count = int(config.num_classes)
    # planned for two: by what it answers it is tried, and some have no classifier
    args = replace(plan(name, 2, size or own_size(name), None), num_classes=count)
    names = classes if count == len(classes) else tuple(map(str, range(count)))
    weights = weights_name(name)
    place = in_folder(name, data, json.dumps([weights, args.as_dict(), names]))
    if not place.is_file():
        ensure_reachable(name)
        state = build(args, pretrained=True).state_dict()
        write(args, state, names, {"given": weights, "licence": licence_of(name)}, place)
    _say(weights, names, args, place, progress)
    return place


def _say(
    what: str, names: tuple[str, ...], args: ModelArgs, place: Path, progress: Progress
) -> None:
    own = f"{len(names):,} classes ({listed(names)})" if names else "no classes"
    progress.say(
        f"{what}: taken as it is: {own}, fed {args.input_size} pixels (--set teacher.image_size=N "
        f"says otherwise); adopted as {place}"
    )
