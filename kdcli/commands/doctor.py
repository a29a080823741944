"""`kd doctor`: what the data are, every image decoded; or what this machine is. Trains nothing, but
for a prognosis, where teacher and student are named."""

import os
import platform
import shutil
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from huggingface_hub import constants

from kdcli.commands.distill import distill_job
from kdcli.core.errors import DataError, KdError, UsageError
from kdcli.core.files import cache_folder, existing
from kdcli.core.machine import free_memory_bytes, memory_bytes
from kdcli.core.openmp import usable_cores, wanted_threads
from kdcli.core.progress import Progress
from kdcli.core.text import counted
from kdcli.data.defaults import fitted
from kdcli.data.open import open_source
from kdcli.data.quality.duplicates import Double
from kdcli.data.quality.survey import Survey, survey, undecodable
from kdcli.data.source import OUT, Defaults
from kdcli.data.sources.torchvision_sets import data_folder
from kdcli.models.precision import has_fast_bf16
from kdcli.plan.ask import Ask
from kdcli.plan.loader_speed import LoaderSpeed, measure_loader
from kdcli.plan.signs import Foretold, can_be_foretold, from_trials
from kdcli.runs.find import runs_root
from kdcli.runs.versions import versions

EXAMPLES = 10
"""Doubles, and files that are ignored, that are named."""


@dataclass(frozen=True)
class Device:
    """What can train here."""

    name: str
    """As --device takes it."""
    what: str
    bf16: bool
    """`precision: auto` may choose it."""


@dataclass(frozen=True)
class Machine:
    """Where kd runs."""

    system: str
    versions: dict[str, str]
    devices: tuple[Device, ...]
    """The first is what `--device auto` takes."""
    cores: int
    memory_bytes: int
    free_memory_bytes: int
    free_disk_bytes: int
    """Where the runs go."""
    folders: dict[str, str]
    """Where what is kept."""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@dataclass(frozen=True)
class Advice:
    """A prognosis, and the command that follows from it."""

    foretold: Foretold
    command: str

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return self.foretold.as_dict() | {"next": self.command}


@dataclass(frozen=True, eq=False)
class Data:
    """What `--data` would mean."""

    name: str
    given: str
    """What was asked for."""
    survey: Survey
    notes: tuple[str, ...]
    defaults: Defaults
    broken: tuple[DataError, ...]
    """One for each image that cannot be decoded."""
    loader: LoaderSpeed | None
    """None: not measured, as images are broken."""
    advice: Advice | None = None
    """Where a teacher and a student were named."""

    @property
    def failure(self) -> KdError | None:
        """Why training on these data would end; None: nothing is broken."""
        if not self.broken:
            return None
        count, total = len(self.broken), sum(self.survey.images.values())
        return DataError(f"{count:,} of {total:,} images cannot be read", OUT)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        found = self.survey
        return {
            "name": self.name,
            "images": found.images,
            "classes": found.per_class,
            "imbalance": found.imbalance if found.smallest[1] else None,
            "sizes": asdict(found.sizes) if found.sizes else None,
            "ignored": len(found.ignored),
            "ignored_files": list(found.ignored[:EXAMPLES]),
            "doubles": _counted(found.doubles),
            "near_doubles": _counted(found.near_doubles),
            "in_two_classes": _counted(found.in_two_classes),
            "broken": [error.what for error in self.broken],
            "notes": list(self.notes),
            "warnings": [*found.warnings(), *found.advice()],
            "defaults": asdict(self.defaults),
            "loader": asdict(self.loader) if self.loader else None,
        }


def _counted(doubles: tuple[Double, ...]) -> dict[str, Any]:
    examples = [asdict(double) for double in doubles[:EXAMPLES]]
    return {"count": len(doubles), "examples": examples}


def doctor(folder: str | None, ask: Ask | None = None, *, progress: Progress) -> Data | Machine:
    """The data that `folder` (anything --data takes) names; None: the machine. Of `ask`, a
    distillation on these data, a prognosis is wanted.

    Raises:
        DataError: data that cannot be opened at all.
        UsageError: the same; or an `ask` that no teacher is ahead of beforehand.
    """
    if folder is None:
        return _machine()
    advice = _advice(ask, progress) if ask else None
    source = open_source(folder, progress)
    broken = undecodable((source.train, source.validation, source.test), progress)
    found = replace(survey(source, progress), unreadable=())  # they are among the broken ones
    sizes = len(source.train), len(source.validation)
    defaults = replace(
        source.defaults,
        small=fitted(source.defaults.small, *sizes),
        large=fitted(source.defaults.large, *sizes),
    )
    loader = None if broken else measure_loader(source)
    return Data(source.name, folder, found, source.notes, defaults, broken, loader, advice)


def _advice(ask: Ask, progress: Progress) -> Advice:
    job = distill_job(ask, progress)
    if not can_be_foretold(job.spec):
        raise UsageError(
            f"recipe {ask.recipe}: nobody teaches who knew it beforehand, so there is no lead to "
            "measure",
            "--recipe kd, or leave --teacher and --student out",
        )
    found = from_trials(job, progress)
    alone = Ask("supervised", model=ask.student, data=ask.data)
    pays = found.prognosis.pays != "no"
    return Advice(found, ask.command("distill") if pays else alone.command("train"))


def _machine() -> Machine:
    return Machine(
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        versions=versions(),
        devices=tuple(_devices()),
        cores=os.cpu_count() or 1,
        memory_bytes=memory_bytes(),
        free_memory_bytes=free_memory_bytes(),
        free_disk_bytes=shutil.disk_usage(existing(runs_root())).free,
        folders={
            "runs": str(runs_root().resolve()),
            "weights": constants.HF_HUB_CACHE,
            "weights by URL": torch.hub.get_dir(),
            "data by name": str(data_folder()),
            "measured latencies and the rest": str(cache_folder()),
        },
    )


def _threads() -> str:
    if wanted := wanted_threads():
        return f"{counted(wanted, 'thread')}, as the environment says"
    return f"at most {counted(usable_cores(), 'thread')}; each training chooses"


def _devices() -> list[Device]:
    """In the order in which `--device auto` would take them."""
    found = [
        Device(f"cuda:{i}", torch.cuda.get_device_name(i), has_fast_bf16(torch.device("cuda", i)))
        for i in range(torch.cuda.device_count())
    ]
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU", False))
    fast = has_fast_bf16(torch.device("cpu"))
    return [*found, Device("cpu", _threads(), fast)]
