"""What one training will take: a few real steps of it, then thrown away.

The same `assemble` and the same steps as the training, on a few images: nothing is modelled but the
multiplication. Within a quarter of the truth, in eight trials on two cores from -20% to +21%
(`benchmarks/forecast.py`).
"""

import gc
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, count
from pathlib import Path

import numpy as np
import torch

from kdcli.core.files import existing
from kdcli.core.machine import watched_memory
from kdcli.core.progress import Silent
from kdcli.core.unfinished import scratch
from kdcli.data.loader import steps_per_epoch
from kdcli.data.photographs import decoded_once, kept_bytes, squares_in_memory
from kdcli.data.several import one_behind_the_other
from kdcli.data.source import Source
from kdcli.data.store import bytes_in_memory
from kdcli.data.subset import training_split
from kdcli.data.unlabelled import UNKNOWN, known_of
from kdcli.models.checkpoint import save_state
from kdcli.plan.estimate import Estimate
from kdcli.recipe.edit import update
from kdcli.runs.find import runs_root
from kdcli.runs.layout import TRIED
from kdcli.runs.spec import Spec
from kdcli.training.answers.decide import Way, decide
from kdcli.training.build import Assembled, assemble
from kdcli.training.devices import peak_bytes, wait_for
from kdcli.training.loop import rehearse
from kdcli.training.resume import SELDOM
from kdcli.training.site import Site
from kdcli.training.threads import numbers, using
from kdcli.training.transfer_set import images_in_all

VALIDATION = 256
"""Images on which the measuring of an epoch is timed: one batch of it."""

COPIES_OF_ANSWERS = 4
"""In memory together: the running mean, a member's logits by batch and in one, their logarithms."""

TRIED_BYTES = 64_000_000
"""Written to know how fast the disk is, at most: a small model's resume state, flushed like it."""


def estimate(
    spec: Spec,
    source: Source,
    device: torch.device,
    done: int = 0,
    threads: int | None = None,
    place: Path | None = None,
    way: Way | None = None,
) -> Estimate:
    """Assemble `spec` on a few images and with random weights, and time it. The upper end where it
    cannot know: patience may end the training sooner, and sgd keeps one moment in place of two.

    `done` epochs of an earlier attempt will be resumed, with its `threads`; None: whichever number
    its steps are fastest with. `place`: the folder, there or not, on whose disk it will be written;
    None: where runs lie. `way`: how its teachers will be asked; None: as one student's.

    Raises:
        OutOfMemory: already these steps do not fit.
        UsageError: what `assemble` refuses.
    """
    way = way or decide(spec, Site(source, device, Silent()))
    source = replace(source, train=training_split(spec, source), unlabelled=None)
    disk, compiled = existing(place or runs_root()), spec.recipe.train.compile is True
    counts = (threads,) if threads else numbers(device, compiled)
    with watched_memory() as most:
        found = _rehearsed(spec, source, device, counts, way)
    gc.collect()  # the next rehearsal's memory is measured, too
    epochs = int(spec.recipe.train.epochs) - done
    state_bytes = 4 * found.learning_bytes  # weights, the best ones, and two moments of each
    checkpoints, checkpoint_bytes = _trail(spec, found)
    per_byte, training = _seconds_per_byte(disk, state_bytes), epochs * found.epoch
    state = state_bytes * per_byte
    states = min(max(0, epochs - 1) * state, state + training / SELDOM)  # none after the last epoch
    return Estimate(
        role=spec.title,
        model=spec.model,
        epochs=epochs,
        seconds=found.once + training + states + (found.model_bytes + checkpoint_bytes) * per_byte,
        model_bytes=found.model_bytes,
        state_bytes=state_bytes,
        memory_bytes=most()
        + peak_bytes(device)
        + _held(spec, source)
        + COPIES_OF_ANSWERS * found.transfer_bytes,
        photograph_bytes=kept_bytes(source.train, spec.recipe),
        asking_seconds=found.asking,
        answers_bytes=found.answers_bytes,
        answers=way.words,
        checkpoints=checkpoints,
        checkpoint_bytes=checkpoint_bytes,
        beside=spec.beside,
        threads=found.threads if device.type == "cpu" else None,
        compiled=compiled,
    )


def _trail(spec: Spec, found: "_Rehearsed") -> tuple[int, int]:
    """How many checkpoints a trajectory has at most, and the bytes of all of them."""
    if not spec.keeps:
        return 0, 0
    count = min(spec.keeps.count, int(spec.recipe.train.epochs) * found.steps)
    return count, count * found.model_bytes // (2 if spec.keeps.precision == "fp16" else 1)


@dataclass(frozen=True)
class _Rehearsed:
    """What a few images told of all of them, in seconds and bytes."""

    once: float
    epoch: float
    steps: int
    """Of an epoch."""
    model_bytes: int
    learning_bytes: int
    """Of what learns; less than the model where only its head does."""
    asking: float
    """In which all teachers answer once."""
    answers_bytes: int
    """That is kept of it."""
    transfer_bytes: int
    """Of it what is in memory at once: the answers to a transfer set."""
    threads: int


def _rehearsed(
    spec: Spec, source: Source, device: torch.device, counts: Sequence[int], way: Way
) -> _Rehearsed:
    batch = min(int(spec.recipe.train.batch_size), len(source.train))
    few = _few(source, batch)
    # where all of the images would not fit, the training decodes them at each step: so must the
    # rehearsal, though its few would fit
    on_demand = not decoded_once(source.train, spec.recipe)
    start = time.monotonic()
    teachers = [None if ref.spec else Path(ref.path or "") for ref in spec.members]
    site = Site(few, device, Silent())
    parts = assemble(_bold(spec), site, teachers, rehearsal=True, on_demand=on_demand, way=way)
    once = time.monotonic() - start - parts.preparing  # building: it does not grow with the images
    label = f"{spec.title} {spec.model}"
    feed = chain.from_iterable(parts.batches(0) for _ in count())
    threads, steps = rehearse(parts.distiller, spec.recipe.train, feed, device, label, counts)
    steps.sort()
    with using(threads):
        validating = _seconds_of_validation(parts, device) / len(few.validation)
    kept = parts.kept()
    student, others = kept.pop("student").state_dict(), [one.state_dict() for one in kept.values()]
    preparing = parts.preparing / (len(few.train) + len(few.validation))
    answered, asking, row = 0, 0.0, 0
    transfer_bytes = 0
    if parts.asking:
        answered, row = way.missing * len(source.train), parts.asking.bytes
        asking = answered * parts.asking.seconds
    if parts.transfer:
        images, row = images_in_all(_bold(spec), source), len(source.classes) * 4
        answered = way.missing * images
        # and to validation, on which the teachers are measured, too
        asked = way.missing * (images + len(source.validation))
        asking = asked * parts.transfer.seconds_per_image
        transfer_bytes = images * row
    # of images with labels an epoch is a pass, whatever there is beside them
    shown = spec.recipe.train.epoch_of(known_of(source.train.labels))
    per_epoch = steps_per_epoch(shown, min(batch, shown))
    learning = [parts.distiller, *(one.model for one in parts.alongside.values())]
    return _Rehearsed(
        once=once + preparing * (len(source.train) + len(source.validation)),
        # the first steps are slower than those behind them, whatever is done
        epoch=steps[len(steps) // 4] * per_epoch + validating * len(source.validation),
        steps=per_epoch,
        model_bytes=_bytes(parts.whole(student)) + sum(map(_bytes, others)),
        learning_bytes=sum(_bytes(one.learning.state_dict()) for one in learning),
        asking=asking,
        answers_bytes=answered * row,
        transfer_bytes=transfer_bytes,
        threads=threads,
    )


def _held(spec: Spec, source: Source) -> int:
    """Bytes of the decoded images in memory."""
    learnt_from = squares_in_memory(len(source.train), spec.recipe)
    return learnt_from + bytes_in_memory(len(source.validation), int(spec.recipe.data.image_size))


def _bytes(weights: dict[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in weights.values())


def _few(source: Source, batch_size: int) -> Source:
    """Enough images for a few batches, of which those with labels and those without each have one;
    with repetitions, a small training set is enough too. Spread evenly over the whole, as files of
    one kind often lie together."""
    train, enough = source.train, max(2 * batch_size, 64)
    unknown = train.labels == UNKNOWN
    if unknown.any():
        kinds = (train.take(np.flatnonzero(kind)) for kind in (~unknown, unknown))
        few = one_behind_the_other(*(kind.sample(enough // 2) for kind in kinds if len(kind)))
    else:
        few = train.sample(enough)
    return replace(source, train=few, validation=source.validation.sample(VALIDATION))


def _bold(spec: Spec) -> Spec:
    """A given teacher is measured before it teaches, not on so few images, of which all count: the
    shares of data.subset and data.hidden have been taken from the whole, those without labels been
    added to it."""
    changes = {"teacher.allow_weak": True, "data.subset": 1.0, "data.hidden": 0.0}
    return spec.model_copy(update={"recipe": update(spec.recipe, changes), "unlabelled": None})


def _seconds_of_validation(parts: Assembled, device: torch.device) -> float:
    start = time.monotonic()
    teachers = [one.ships["student"] for one in parts.alongside.values()]
    for one in (*parts.distiller.ships().values(), *teachers):
        parts.validate(one)
    wait_for(device)
    return time.monotonic() - start


def _seconds_per_byte(disk: Path, needed: int) -> float:
    """Of writing a checkpoint into this folder; a trial takes no more than the training, which
    needs so many bytes."""
    size = 1 << min(TRIED_BYTES, needed, shutil.disk_usage(disk).free // 4).bit_length() >> 1
    return _timed(disk, size) / max(size, 1)


@cache
def _timed(disk: Path, size: int) -> float:
    """Seconds; measured once in a process."""
    with scratch(disk) as folder:
        start = time.monotonic()
        save_state({"tried": torch.empty(size // 4)}, folder / TRIED)
        return time.monotonic() - start
