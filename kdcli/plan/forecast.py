"""The plan before the wait: time, disk and memory, from a few real steps of each model."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from kdcli.core.disk_space import refuse_full
from kdcli.core.errors import KdError
from kdcli.core.files import existing, probe
from kdcli.core.progress import Progress, Silent
from kdcli.data.defaults import typical_side
from kdcli.data.quality.survey import refuse_undecodable
from kdcli.data.source import Source
from kdcli.plan.data import say_decoded_again, say_left
from kdcli.plan.estimate import Estimate
from kdcli.plan.foreseen import Forecast, Shorter
from kdcli.plan.job import Job
from kdcli.plan.rehearsal import estimate
from kdcli.plan.shortcuts import shortcuts
from kdcli.recipe.edit import update
from kdcli.runs.baseline import baseline_of, controls_of
from kdcli.runs.find import find, is_finished, runs_root
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.training.answers.decide import decide
from kdcli.training.ensure import reach_weights, run_of
from kdcli.training.resume import epochs_kept
from kdcli.training.site import Site
from kdcli.training.threads import numbers

LONG = 3600
"""Seconds above which something shorter is worth measuring, where there is no GPU."""

WORTH_NAMING = 0.9
"""What takes a larger share of the time than this is no shortcut: a forecast may be off by more
than a tenth itself."""


def foresee(
    job: Job,
    progress: Progress,
    *,
    out: Path | None = None,
    again: bool = False,
    baseline_first: bool = False,
) -> Forecast:
    """Time a few steps of everything that `job` still has to train; nothing of it is kept.

    In the order in which a refusal costs least: folders, weights, images, then the rehearsals.

    Raises:
        DataError: images of validation or test that cannot be read, all of them named.
        DamagedFile: starting weights that cannot be read, or are not finite.
        DiskError: the disk has less room than the models will take.
        OutOfMemory: already these steps do not fit.
        UsageError: the run's folder holds something else.
        WeightsUnavailable: pretrained weights cannot be fetched.
    """
    source, device = job.source, job.device
    runs = [run_of(spec, out, again) for spec in job.specs]
    asked = [
        (spec, _begun(run, again))
        for spec, run in zip(job.specs, runs, strict=True)
        if again or not run.finished
    ]
    # teachers first, as `ensure` will train them
    first = [(one, _begun(find(one), False)) for one in _before(spec for spec, _ in asked)]
    controls = {one.digest: one for one in _later(job.spec)} if asked or baseline_first else {}
    baseline = controls.pop(baseline_of(job.spec).digest, None) if baseline_first else None
    early = [(baseline, _begun(find(baseline), False))] if baseline else []
    todo = _alike([*early, *first, *asked])
    place = runs[0].path
    probe(place)
    if first:  # of teachers --out says nothing
        probe(runs_root())
    for one in todo:
        reach_weights(one.spec)
    if todo:
        say_left(job.spec, source, progress)
        say_decoded_again(job.spec, source, progress)
        further = source.unlabelled if job.spec.unlabelled else None
        refuse_undecodable((source.validation, source.test, *filter(None, [further])), progress)
    later = [(one, _begun(find(one), False)) for one in controls.values()]
    found = _foreseen(todo, _alike(later), source, device, place, progress)
    # shortcuts have to be rehearsed, too: not for a training that is short, or on a GPU
    if found.seconds < LONG or device.type != "cpu":
        return found
    progress.say("long for a processor: measuring what would shorten it")
    ways = [*_shorter(job, place), *_fewer_epochs(job.spec, found)]
    return replace(
        found, shorter=tuple(way for way in ways if way.seconds < WORTH_NAMING * found.seconds)
    )


def foresee_all(
    specs: Sequence[Spec], source: Source, device: torch.device, progress: Progress
) -> Forecast:
    """The same of trainings that another command needs first, and of the teachers they lack; raises
    what `foresee` does."""
    everyone = {one.digest: one for one in [*_before(specs), *specs]}
    todo = _alike((one, _begun(find(one), False)) for one in everyone.values())
    for one in todo:
        reach_weights(one.spec)
    return _foreseen(todo, (), source, device, runs_root(), progress)


def _foreseen(
    todo: Sequence["_Alike"],
    later: Sequence["_Alike"],
    source: Source,
    device: torch.device,
    place: Path,
    progress: Progress,
) -> Forecast:
    if todo:
        progress.say("a few steps of each model first, to say what it will take")
    now = tuple(one.estimate(source, device, place) for one in todo)
    found = Forecast(
        now=now,
        later=tuple(one.estimate(source, device, place) for one in later),
        free_bytes=shutil.disk_usage(existing(place)).free,
        threads={one.spec.kind: each.threads for one, each in zip(todo, now, strict=True)},
    )
    if now and len(numbers(device)) > 1:
        chosen = ", ".join(one.words_on_threads for one in now)
        progress.say(f"threads: {chosen}, as a few steps took the least time (or set KD_THREADS)")
    refuse_full(place, found.disk_bytes)
    return found


@dataclass(frozen=True, eq=False)
class _Alike:
    """Trainings that differ in their seeds alone, and have as many epochs behind them: a thousand
    need one rehearsal."""

    spec: Spec
    """Of the first."""
    times: int
    begun: "_Begun"

    def estimate(self, source: Source, device: torch.device, place: Path) -> Estimate:
        """Of each; where each draws its own share of the images, with the mean share."""
        spec, subset = self.spec, self.spec.recipe.data.subset
        if self.times > 1 and isinstance(subset, tuple):
            recipe = update(spec.recipe, {"data.subset": sum(subset) / 2})
            spec = spec.model_copy(update={"recipe": recipe})
        site = Site(source, device, Silent(), students=self.times)
        way = decide(spec, site, begun=self.begun.stored)
        found = estimate(spec, source, device, *self.begun[:2], place, way)
        return replace(found, times=self.times)


class _Begun(NamedTuple):
    """What an earlier attempt leaves to one that resumes it."""

    epochs: int = 0
    threads: int | None = None
    stored: bool | None = None
    """Whether its teachers are looked up."""


def _alike(todo: Iterable[tuple[Spec, _Begun]]) -> list[_Alike]:
    """Each training and the epochs that it has behind it, those that are alike as one."""
    first: dict[tuple[str, str, _Begun], Spec] = {}
    times: Counter[tuple[str, str, _Begun]] = Counter()
    for spec, begun in todo:
        key = spec.role, spec.kind, begun
        first.setdefault(key, spec)
        times[key] += 1
    return [_Alike(spec, times[key], key[-1]) for key, spec in first.items()]


def _fewer_epochs(spec: Spec, found: Forecast) -> Iterator[Shorter]:
    """Half of the student's; nothing has to be measured for that."""
    *before, last = found.now
    if (half := int(spec.recipe.train.epochs) // 2) and last.epochs:
        seconds = sum(one.all_seconds for one in before)
        seconds += half * last.times * last.seconds / last.epochs
        yield Shorter(f"half the epochs of the {spec.role}", f"--set train.epochs={half}", seconds)


def _shorter(job: Job, place: Path) -> Iterator[Shorter]:
    for shortcut in shortcuts(job.spec, job.source, typical_side(job.source.train)):
        specs = replace(job, spec=shortcut.spec).specs
        chain = _alike((one, _Begun()) for one in [*_before(specs), *specs])
        try:
            each = [one.estimate(job.source, job.device, place) for one in chain]
        except KdError:  # it does not suit this model or recipe: no shortcut, then
            continue
        then = sum(one.all_seconds for one in each)
        yield Shorter(shortcut.what, shortcut.ask, then)


def _before(specs: Iterable[Spec]) -> list[Spec]:
    """The teachers that `ensure` would train for them, in its order, each once: whoever teaches a
    teacher stands before it."""
    found: dict[str, Spec] = {}
    looked: set[str] = set()  # students of many seeds have the same many teachers
    for spec in specs:
        before = {digest: one for one in spec.before if (digest := one.digest) not in looked}
        looked |= before.keys()
        todo = [one for one in before.values() if not is_finished(one)]
        for one in (*_before(todo), *todo):
            found.setdefault(one.digest, one)
    return list(found.values())


def _begun(run: Run | None, again: bool) -> _Begun:
    """Of an earlier attempt that will be resumed."""
    if run is None or again or run.finished:
        return _Begun()
    epochs = epochs_kept(run)
    return _Begun(epochs, run.threads, bool(run.answers) if epochs else None)


def _later(spec: Spec) -> list[Spec]:
    """What `kd evaluate` would train: what a student is compared with, where there is none yet."""
    return [one for one in controls_of(spec).values() if not is_finished(one)]
