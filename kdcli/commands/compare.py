"""`kd compare`: runs, exported files and reports on the same test images. Trains nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch

from kdcli.core.errors import DamagedFile, DataError, UsageError
from kdcli.core.machine import machine
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import counted, duration, points, some, span
from kdcli.data.open import open_source
from kdcli.data.reopen import reopen_data
from kdcli.data.source import Source
from kdcli.deploy.find_contenders import Given, asked, classes_of, find_given, kept, logits_of
from kdcli.deploy.side_by_side import bytes_and_milliseconds
from kdcli.evaluation.candidates import compared
from kdcli.evaluation.contenders import Contender, together
from kdcli.evaluation.own_gains import over_their_own
from kdcli.evaluation.predictions import Tested, tested
from kdcli.evaluation.ranking import Seeds
from kdcli.evaluation.survey import surveyed
from kdcli.report.candidates import Compared, short_names
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find
from kdcli.runs.spec import with_seed
from kdcli.training.devices import open_device

T = TypeVar("T")
TRIED = 32
"""Images by which is foreseen how long all of them take."""


def compare(
    things: Sequence[str],
    *,
    data: str | None = None,
    against: str | None = None,
    no_measure: bool = False,
    survey: bool = False,
    size_priority: float | None = None,
    over_own: bool = False,
    device: str = "auto",
    progress: Progress,
) -> Compared:
    """Who is best among runs, exported files and reports.

    `data`: where the test images lie now, or others of the same classes; `against`: whom gains are
    over (else the baseline among them, else the first); `no_measure` refuses to ask any model;
    `survey` adds the accounting beside teachers, `size_priority` is the a of its distillation score
    (else the recipes'). `over_own`: gains are of each over its own baseline, of the same seeds; one
    candidate is enough, and nothing is timed. One that is damaged is left out, and named.

    Raises:
        DamagedFile: after that too few are left, or `against` is damaged.
        UsageError: fewer than two candidates, other test images, or none of these things.
        DataError: `no_measure`, and something is missing; the data are gone; a survey of students
            whose teachers were not measured.
    """
    names = list(dict.fromkeys([*things, *([against] if against else [])]))
    sound = _Sound(against, progress)
    given = [one for name in names if (one := sound(find_given, name, name, progress))]
    known = {one.typed: sound(kept, one.typed, one) for one in given}
    least = 1 if over_own else 2
    sound.refuse_too_few(len(sound.among(given)), least)
    images = _Images(sound.among(given), data, progress)
    wanted = images.wanted(known)
    found = {name: one for name, one in known.items() if one and one.tested.same_as(wanted)}
    missing = [one for one in sound.among(given) if one.typed not in found]
    if missing and no_measure:
        lacking = some([one.typed for one in missing], 3)
        raise DataError(
            f"--no-measure: what {lacking} answers to these test images is not known",
            "kd evaluate RUN keeps it, or leave --no-measure out",
        )
    place = open_device(device)
    missing = [one for one in missing if sound(classes_of, one.typed, one)]
    sound.refuse_too_few(len(found) + len(missing), least)
    _say_what_is_missing(missing, images, place, progress)
    for one in missing:
        found[one.typed] = _measured(one, images, wanted, place, progress)
    contenders = together([found[name] for name in names if name in found])
    if len(contenders) < 2 and not over_own:
        raise UsageError(
            f"{counted(len(contenders), 'candidate')}: nothing to compare",
            "give two or more; runs that differ in their seed alone are one",
        )
    accounts = surveyed(contenders, size_priority) if survey else None
    if accounts and not accounts.accounts:
        raise DataError(
            "--survey: no student here has the answers of its teacher beside its own, of all seeds",
            "kd evaluate RUN --seeds N measures them, or one RUN of them alone, each; a teacher of "
            "other classes has none",
        )
    files = {one.typed[0]: one.file for one in contenders if one.file}
    times = {} if no_measure or over_own else bytes_and_milliseconds(files, progress)
    best = compared(
        contenders,
        _against(against, contenders),
        times,
        data=images.name,
        size_priority=size_priority,
        notes=[*(f"left out: {what}" for what in sound.damaged), *_notes(contenders)],
        measured_on=f"{machine()}, 1 thread" if times else None,
    )
    best = best.model_copy(update={"damaged": sound.damaged})
    if over_own:
        answered = [_own_baseline(one, images, wanted, place, progress) for one in contenders]
        return over_their_own(best, contenders, answered)
    notes = [*_of_the_best(contenders, best), *best.notes]
    return best.model_copy(update={"survey": accounts, "notes": notes})


@dataclass
class _Sound:
    """Asks of each candidate what only a sound one answers."""

    against: str | None
    progress: Progress
    _lost: dict[str, DamagedFile] = field(default_factory=dict)

    def __call__(self, ask: Callable[..., T], typed: str, *question: Any) -> T | None:
        """The answer; None of a damaged one, which is told."""
        try:
            return ask(*question)
        except DamagedFile as error:
            if typed == self.against:
                raise
            self.progress.warn(f"left out: {error.what}")
            self._lost[typed] = error
            return None

    @property
    def damaged(self) -> list[str]:
        """What is wrong with each."""
        return [error.what for error in self._lost.values()]

    def among(self, given: Sequence[Given]) -> list[Given]:
        """Those that nothing was found wrong with."""
        return [one for one in given if one.typed not in self._lost]

    def refuse_too_few(self, count: int, least: int) -> None:
        """Raise what is wrong with the first, where for that too few can be compared."""
        if self._lost and count < least:
            raise next(iter(self._lost.values()))


@dataclass
class _Images:
    """The test images: those of --data, else of the runs; opened where somebody has to be asked."""

    given: Sequence[Given]
    data: str | None
    progress: Progress
    _opened: dict[str, Source] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the data set."""
        if self.data is not None:
            return self.data
        return next((one.run.spec.data.name for one in self.given if one.run), "?")

    def wanted(self, known: dict[str, Contender | None]) -> Tested:
        """On which all are compared; raises UsageError where candidates were tested on others."""
        if self.data is not None:
            return tested(self.of(self.given[0]).test)
        stored = [(name, one.tested) for name, one in known.items() if one]
        if not stored:
            return tested(self.of(self.given[0]).test)
        (first, wanted), *others = stored
        for name, theirs in others:
            refuse_others(first, wanted, name, theirs)
        return wanted

    def of(self, one: Given) -> Source:
        """Of --data, else of its own run, else of any run here."""
        runs = [g.run for g in (one, *self.given) if g.run]
        if self.data is None and not runs:
            raise UsageError(f"{one.typed}: no run around it that had data", "--data DIR")
        key = self.data if self.data is not None else str(runs[0].spec.data)
        if key not in self._opened:
            self._opened[key] = (
                open_source(self.data, self.progress)
                if self.data is not None
                else reopen_data(runs[0].spec.data, self.progress)
            )
        return self._opened[key]


def refuse_others(first: str, wanted: Tested, name: str, theirs: Tested) -> None:
    """Raise UsageError unless both are the same images."""
    if not theirs.same_as(wanted):
        raise UsageError(
            f"test images differ: {first} was tested on {len(wanted.ids):,}, {name} on "
            f"{len(theirs.ids):,} that are not the same",
            "--data DIR asks all of them about the test images there",
        )


def _measured(
    one: Given, images: _Images, wanted: Tested, place: torch.device, progress: Progress
) -> Contender:
    source = images.of(one)
    refuse_others("who was measured before", wanted, one.typed, tested(source.test))
    return asked(one, source.test, source.classes, place, progress)


def _own_baseline(
    one: Contender, images: _Images, wanted: Tested, place: torch.device, progress: Progress
) -> Seeds | None:
    """Kept beside it, or asked now; None: not all of its seeds have a finished one."""
    if "baseline" in one.beside and len(one.beside["baseline"]) == len(one.seeds):
        return Seeds(one.beside["baseline"].argmax(2) == one.tested.labels, one.seeds)
    specs = [with_seed(one.spec, seed) for seed in one.seeds] if one.spec else []
    runs = [find(baseline_of(spec)) for spec in specs]
    finished = [str(run.path) for run in runs if run and run.finished]
    if not finished or len(finished) < len(one.seeds):
        return None
    try:
        given = [find_given(path, Silent()) for path in finished]
        found = [_measured(each, images, wanted, place, progress) for each in given]
    except DamagedFile as error:
        progress.warn(f"{one.typed[0]}: no gain over its baseline: {error.what}")
        return None
    return Seeds(np.concatenate([each.right for each in found]), one.seeds)


def _say_what_is_missing(
    missing: Sequence[Given], images: _Images, place: torch.device, progress: Progress
) -> None:
    """Who will be asked, and how long that takes."""
    if not missing:
        return
    seconds = 0.0
    for one in missing:
        source = images.of(one)
        clock = [time.monotonic()]
        for few in (1, 1 + TRIED):  # the first is the building, too
            logits_of(one, source.test.sample(few), source.classes, place, Silent())
            clock.append(time.monotonic())
        first, later = (after - before for before, after in pairwise(clock))
        seconds += first + max(later - first, 0) * len(source.test) / TRIED
    progress.say(
        f"{counted(len(missing), 'model')} to be asked about the test images "
        f"({some([one.typed for one in missing], 3)}): about {duration(seconds)}"
    )


def _against(wanted: str | None, contenders: Sequence[Contender]) -> int:
    """The place of whom gains are over."""
    for i, one in enumerate(contenders):
        if wanted in one.typed:
            return i
    return next((i for i, one in enumerate(contenders) if one.role == "baseline"), 0)


def _notes(contenders: Sequence[Contender]) -> list[str]:
    """What a reader should know of the seeds."""
    names = short_names([one.typed[0] for one in contenders])
    single = [name for name, one in zip(names, contenders, strict=True) if len(one.seeds) == 1]
    several = len(single) < len(contenders)
    if single and several:
        return [f"{some(single, 3)}: one seed, which says nothing of another training like it"]
    if single:
        return ["one seed of each: these files are compared, not ways of training"]
    if any(len(one.seeds) == 2 for one in contenders):
        return ["two seeds say next to nothing of how trainings vary: kd evaluate RUN --seeds 3"]
    return []


def _of_the_best(contenders: Sequence[Contender], best: Compared) -> list[str]:
    """Whether its teaching helped, which those here may not tell: by its own report."""
    one = next(one for one in contenders if one.typed[0] == best.best)
    found = one.report.comparison if one.report else None
    if found is None or one.role != "student":
        return []
    ends = span(found.gain_ci95.low, found.gain_ci95.high)
    return [
        f"{short_names([c.typed[0] for c in contenders])[contenders.index(one)]} against its own "
        f"baseline, without a teacher: {points(found.gain)} (95% CI {ends}), "
        f"{found.verdict_code.replace('_', ' ')}"
    ]
