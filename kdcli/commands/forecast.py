"""The plan before the wait: time, disk and memory, from a few real steps of each model."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kdcli.commands.amounts import duration, size_in_words
from kdcli.commands.plan import Job, baseline_of
from kdcli.commands.rehearsal import Estimate, estimate
from kdcli.commands.shortcuts import shortcuts
from kdcli.commands.train import reach_weights, run_of
from kdcli.commands.unlabelled import reopen_unlabelled
from kdcli.data.defaults import typical_side
from kdcli.data.survey import refuse_undecodable
from kdcli.errors import DiskError, KdError, counted
from kdcli.files import existing, probe
from kdcli.progress import Progress
from kdcli.runs import Run, find
from kdcli.spec import Spec

LONG = 3600
"""Seconds above which something shorter is worth measuring, where there is no GPU."""

WORTH_NAMING = 0.9
"""What takes a larger share of the time than this is no shortcut."""


@dataclass(frozen=True)
class Shorter:
    """A change that would shorten the wait, and the seconds that all of it would then take."""

    what: str
    ask: str
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """All that the command will train, the baseline that `kd evaluate` will, and what they take."""

    now: tuple[Estimate, ...]
    later: tuple[Estimate, ...]
    free_bytes: int
    shorter: tuple[Shorter, ...] = ()

    @property
    def seconds(self) -> float:
        """Until the command ends."""
        return sum(one.seconds for one in self.now)

    @property
    def disk_bytes(self) -> int:
        """At most, while they train."""
        everyone = (*self.now, *self.later)
        most = max((one.state_bytes for one in everyone), default=0)
        return sum(one.model_bytes + one.answers_bytes for one in everyone) + most

    @property
    def memory_bytes(self) -> int:
        """At most."""
        return max((one.memory_bytes for one in (*self.now, *self.later)), default=0)

    def lines(self) -> list[str]:
        """In words; the first line is the plan, the others what would shorten it."""
        if not self.now:
            return ["plan: nothing to train, it is finished"]
        trainings = [
            f"{one.role} {one.model} {counted(one.epochs, 'epoch')} ~ {duration(one.seconds)}"
            for one in self.now
        ]
        later = "".join(f" ({one.role} later ~ {duration(one.seconds)})" for one in self.later)
        ends = datetime.now() + timedelta(seconds=self.seconds)
        disk, free = size_in_words(self.disk_bytes), size_in_words(self.free_bytes)
        words = (
            f"plan: {', '.join(trainings)}: about {duration(self.seconds)} in all{later}; "
            f"{disk} disk ({free} free), ~ {size_in_words(self.memory_bytes)} memory; "
            f"finishes about {ends:%H:%M}{_days(ends)}"
        )
        return [words, *(f"{s.what}: {s.ask} ~ {duration(s.seconds)} in all" for s in self.shorter)]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        ends = datetime.now() + timedelta(seconds=self.seconds)
        return {
            "now": [vars(one) for one in self.now],
            "later": [vars(one) for one in self.later],
            "seconds": self.seconds,
            "finishes": ends.isoformat("T", "minutes"),
            "disk_bytes": self.disk_bytes,
            "free_disk_bytes": self.free_bytes,
            "memory_bytes": self.memory_bytes,
            "shorter": [vars(one) for one in self.shorter],
        }


def foresee(
    job: Job, progress: Progress, *, out: Path | None = None, again: bool = False
) -> Forecast:
    """Time a few steps of everything that `job` still has to train; nothing of it is kept.

    Raises:
        DataError: images of validation or test that cannot be read, all of them named.
        DamagedFile: starting weights that cannot be read, or are not finite.
        DiskError: the disk has less room than the models will take.
        OutOfMemory: already these steps do not fit.
        UsageError: the run's folder holds something else.
        WeightsUnavailable: pretrained weights cannot be fetched.
    """
    spec, source, device = job.spec, job.source, job.device
    run = run_of(spec, out, again)
    todo = [] if run.finished and not again else [*_teachers(spec), spec]
    probe(run.path)
    for one in todo:
        reach_weights(one)
    if todo:
        further = [reopen_unlabelled(spec.unlabelled, progress)] if spec.unlabelled else []
        refuse_undecodable((source.validation, source.test, *further), progress)
        progress.say("a few steps of each model first, to say what it will take")
    found = Forecast(
        now=tuple(
            estimate(one, source, device, _done(one, run if one is spec else None, again))
            for one in todo
        ),
        later=tuple(estimate(one, source, device, _done(one, None, False)) for one in _later(spec))
        if todo
        else (),
        free_bytes=shutil.disk_usage(existing(run.path)).free,
    )
    if found.disk_bytes > found.free_bytes:
        raise DiskError(
            f"{run.path}: {size_in_words(found.disk_bytes)} will be needed, "
            f"{size_in_words(found.free_bytes)} are free",
            "free some space (kd list runs --prune), or set KD_RUNS to another place",
        )
    if found.seconds < LONG or device.type != "cpu":
        return found
    progress.say("long for a processor: measuring what would shorten it")
    ways = [*_shorter(job), *_fewer_epochs(job.spec, found)]
    return replace(
        found, shorter=tuple(way for way in ways if way.seconds < WORTH_NAMING * found.seconds)
    )


def _fewer_epochs(spec: Spec, found: Forecast) -> Iterator[Shorter]:
    """Half of the student's; nothing has to be measured for that."""
    *before, last = found.now
    if (half := int(spec.recipe.train.epochs) // 2) and last.epochs:
        seconds = sum(one.seconds for one in before) + half * last.seconds / last.epochs
        yield Shorter(f"half the epochs of the {spec.role}", f"--set train.epochs={half}", seconds)


def _shorter(job: Job) -> Iterator[Shorter]:
    for shortcut in shortcuts(job.spec, typical_side(job.source.train)):
        chain = [*_teachers(shortcut.spec), shortcut.spec]
        try:
            then = sum(estimate(one, job.source, job.device).seconds for one in chain)
        except KdError:  # it does not suit this model or recipe: no shortcut, then
            continue
        yield Shorter(shortcut.what, shortcut.ask, then)


def _teachers(spec: Spec) -> list[Spec]:
    """Those that `ensure` would train before, in its order."""
    taught_by = [teacher.spec for teacher in spec.teachers if teacher.spec]
    todo = [one for one in taught_by if not _finished(one)]
    return [each for one in todo for each in (*_teachers(one), one)]


def _done(spec: Spec, run: Run | None, again: bool) -> int:
    """Epochs of an earlier attempt that will be resumed."""
    place = run or find(spec)
    if place is None or (run and again):
        return 0
    return sum("epoch" in line for line in place.lines())


def _later(spec: Spec) -> list[Spec]:
    """What `kd evaluate` would train."""
    if not spec.teachers or _finished(baseline := baseline_of(spec)):
        return []
    return [baseline]


def _finished(spec: Spec) -> bool:
    run = find(spec)
    return run is not None and run.finished


def _days(ends: datetime) -> str:
    days = (ends.date() - datetime.now().date()).days
    return "" if days == 0 else " tomorrow" if days == 1 else f" in {days} days"
