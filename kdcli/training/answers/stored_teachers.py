"""Finished teachers as stores of their answers: opened, measured, and rehearsed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from kdcli.core.records import Teacher
from kdcli.data.loader import Batching, view_batches
from kdcli.data.source import refuse_changed_images
from kdcli.data.store import Store
from kdcli.data.subset import training_split
from kdcli.evaluation.kept_answers import Kept, unpacked
from kdcli.models.route import View
from kdcli.models.teachers import Frozen, Recorded
from kdcli.runs.spec import Spec
from kdcli.training.answers.ask_once import Once, Stored, asked, joined
from kdcli.training.answers.decide import Way
from kdcli.training.answers.key import fingerprint, needs_embedding
from kdcli.training.site import Site
from kdcli.training.teachers import Roll, open_teacher

LEAST_BATCH, MOST_BATCH = 32, 1024
PIXELS = {"cpu": 1 << 22, "cuda": 1 << 25}
"""Of a batch that is asked about, where memory need not hold gradients: on a processor 83 images of
224 pixels, of which more are no faster."""


def open_stored(
    spec: Spec,
    site: Site,
    paths: Sequence[Path | None],
    way: Way,
    images: tuple[Store, Store],
    how: Batching,
) -> Once:
    """The teachers of `spec`, whose model.pt are at `paths`, as stores that are filled as they are
    needed; `images` are those of training and validation, `how` the batches of the training.

    Each is measured on validation as one that is asked at every step, but once for all trainings.

    Raises:
        UnfitTeacher: as `teachers.open_teachers`.
    """
    training, validation = images
    roll, measured_on = Roll(spec, site, validation), fingerprint(site.source.validation)
    size = batch_size(int(spec.recipe.data.image_size), site.device)
    batches = partial(view_batches, training, replace(how, batch_size=size), device=site.device)
    stored: list[Stored] = []
    models: dict[str, Callable[[], Frozen]] = {}
    for i, (path, ref, store) in enumerate(zip(paths, spec.members, way.stores, strict=True)):
        assert path is not None  # else there would be no store of its answers
        by = f"teacher.{i}"
        share = store.standing(measured_on)
        known = share is not None and roll.knows(path, ref, share)
        if not known and (found := roll.call(open_teacher(path, site.device), ref)):
            store.keep_standing(measured_on, found.share)
        models[by] = partial(_opened, spec, site, path, by, training)
        stored.append(Stored(by, store, way.views, site.classes))
    keep = spec.recipe.teacher.keep
    refuse = partial(refuse_changed_images, training_split(spec, site.source))
    return Once(stored, models, batches, size, way.views, keep, site.device, site.progress, refuse)


def batch_size(image_size: int, device: torch.device) -> int:
    """How many images are asked about together: a power of two, which divides a shard."""
    most = PIXELS.get(device.type, PIXELS["cpu"]) // image_size**2
    return 1 << (min(max(most, LEAST_BATCH), MOST_BATCH).bit_length() - 1)


def _opened(spec: Spec, site: Site, path: Path, by: str, training: Store) -> Frozen:
    """A teacher as it would teach, and shown as far as its answers are kept."""
    opened = open_teacher(path, site.device, by, spec.recipe.teacher.precision)
    teacher = Frozen(opened.tap, opened.answers(site.source.classes))
    return _shown(teacher, spec, site, training)


def _shown(teacher: Frozen, spec: Spec, site: Site, training: Store) -> Frozen:
    if needs_embedding(spec.recipe):
        few = Batching(site.classes, 2, image_size=int(spec.recipe.data.image_size))
        batch = next(view_batches(training, few, 0, np.arange(2), 0, site.device))
        teacher.tap.show(View(embedding=True), batch.images)
    return teacher


@dataclass(frozen=True)
class PerImage:
    """What asking all teachers about an image takes."""

    seconds: float
    bytes: int
    """That are kept."""


def rehearsed(
    teachers: Mapping[str, Frozen], spec: Spec, site: Site, training: Store, how: Batching
) -> tuple[dict[str, Teacher], PerImage]:
    """What they answer to the few images of a rehearsal, and what that took: to the images as they
    come, which takes what any view takes."""
    # two batches at least: the first is slow
    size = min(batch_size(int(spec.recipe.data.image_size), site.device), len(training) // 2)
    parts: dict[str, list[Kept]] = {by: [] for by in teachers}
    pace: list[float] = []
    for teacher in teachers.values():
        _shown(teacher, spec, site, training)
    start = time.monotonic()
    how, everyone = replace(how, batch_size=size), np.arange(len(training))
    for batch in view_batches(training, how, 0, everyone, device=site.device):
        for by, teacher in teachers.items():
            parts[by].append(asked(teacher, batch, spec.recipe.teacher.keep))
        now = time.monotonic()  # what is kept has left the device: it has done its work
        pace.append((now - start) / len(batch.labels))
        start = now
    kept = {by: joined(each) for by, each in parts.items()}
    taken = sum(tensor[0].nbytes for each in kept.values() for tensor in each.values())
    found: dict[str, Teacher] = {
        by: Recorded(unpacked(each, by, site.classes)) for by, each in kept.items()
    }
    return found, PerImage(min(pace), taken)
