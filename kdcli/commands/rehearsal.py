"""What one training will take: a few real steps of it, then thrown away."""

import gc
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

import torch

from kdcli.checkpoint import save_state
from kdcli.commands.assemble import Assembled, assemble
from kdcli.data.loader import steps_per_epoch
from kdcli.data.source import Source
from kdcli.data.store import bytes_in_memory
from kdcli.devices import peak_bytes, wait_for
from kdcli.files import existing
from kdcli.machine import used_bytes
from kdcli.progress import Silent
from kdcli.records import Batch
from kdcli.runs import find, runs_root
from kdcli.spec import Spec
from kdcli.training import REHEARSED, rehearse

VALIDATION = 128
"""Images on which the measuring of an epoch is timed."""

TRIED_BYTES = 64_000_000
"""Written to know how fast the disk is."""


@dataclass(frozen=True)
class Estimate:
    """One training: what it takes from here to its end."""

    role: str
    model: str
    epochs: int
    """Still to do, at most: patience may end it sooner."""
    seconds: float
    model_bytes: int
    state_bytes: int
    """Of the resume state, there while it trains."""
    memory_bytes: int
    """Of the process, and of the GPU where there is one."""


def estimate(spec: Spec, source: Source, device: torch.device, again: bool = False) -> Estimate:
    """Assemble `spec` on a few images and with random weights, and time it.

    Raises:
        OutOfMemory: already these steps do not fit.
        UsageError: what `assemble` refuses.
    """
    few = _few(source, int(spec.recipe.train.batch_size))
    start = time.monotonic()
    teachers = [None if ref.spec else Path(ref.path or "") for ref in spec.teachers]
    parts = assemble(_bold(spec), few, teachers, device, Silent(), rehearsal=True)
    assembling = time.monotonic() - start
    label = f"{spec.role} {spec.model}"
    steps = sorted(rehearse(parts.distiller, spec.recipe.train, _endless(parts), device, label))
    validating = _seconds_of_validation(parts, device) / len(few.validation)
    state_dict = parts.distiller.ships().state_dict()
    model_bytes = sum(t.numel() * t.element_size() for t in state_dict.values())
    memory = used_bytes() + peak_bytes(device)
    preparing = parts.preparing / (len(few.train) + len(few.validation))
    fixed = assembling - parts.preparing
    del parts, state_dict
    gc.collect()
    epochs = int(spec.recipe.train.epochs) - (0 if again else _done(spec))
    state_bytes = 4 * model_bytes  # the weights, the best ones, and two moments of each
    size, images = int(spec.recipe.data.image_size), len(source.train) + len(source.validation)
    held = bytes_in_memory(len(source.train), size)
    epoch = (
        steps[len(steps) // 2] * steps_per_epoch(len(source.train), _batch(spec, source))
        + validating * len(source.validation)
        + (0.0 if held else preparing * images)
    )
    saving = max(0, epochs - 1) * state_bytes * _seconds_per_byte()  # not after the last epoch
    once = (
        saving + fixed + model_bytes * _seconds_per_byte() + (preparing * images if held else 0.0)
    )
    return Estimate(
        role=spec.role,
        model=spec.model,
        epochs=epochs,
        seconds=once + epochs * epoch,
        model_bytes=model_bytes,
        state_bytes=state_bytes,
        memory_bytes=memory + held,
    )


def _few(source: Source, batch_size: int) -> Source:
    """Enough images for a few batches; with repetitions, a small training set is enough too."""
    return replace(
        source,
        train=source.train.sample(max(2 * batch_size, 64)),
        validation=source.validation.sample(VALIDATION),
    )


def _batch(spec: Spec, source: Source) -> int:
    return min(int(spec.recipe.train.batch_size), len(source.train))


def _bold(spec: Spec) -> Spec:
    """A given teacher is measured before it teaches, not on so few images."""
    teacher = spec.recipe.teacher.model_copy(update={"allow_weak": True})
    return spec.model_copy(update={"recipe": spec.recipe.model_copy(update={"teacher": teacher})})


def _endless(parts: Assembled) -> Iterator[Batch]:
    return chain.from_iterable(parts.batches(epoch) for epoch in range(REHEARSED))


def _seconds_of_validation(parts: Assembled, device: torch.device) -> float:
    start = time.monotonic()
    parts.validate(parts.distiller.ships())
    wait_for(device)
    return time.monotonic() - start


def _done(spec: Spec) -> int:
    """Epochs of an earlier attempt that can be resumed."""
    run = find(spec)
    return 0 if run is None else sum("epoch" in line for line in run.lines())


@cache
def _seconds_per_byte() -> float:
    """Of writing a checkpoint where the runs go."""
    with tempfile.TemporaryDirectory(dir=existing(runs_root())) as folder:
        start = time.monotonic()
        save_state({"tried": torch.empty(TRIED_BYTES // 4)}, Path(folder) / "tried.pt")
        return (time.monotonic() - start) / TRIED_BYTES
