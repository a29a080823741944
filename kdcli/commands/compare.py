"""`kd compare`: runs, exported files and reports on the same test images. Trains nothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch

from kdcli.core.class_order import OF_RUN, refuse_other_order
from kdcli.core.errors import DataError, UsageError
from kdcli.core.files import sha256
from kdcli.core.machine import machine
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import counted, duration, some
from kdcli.data.open import open_source
from kdcli.data.reopen import reopen_data
from kdcli.data.source import Source, Split
from kdcli.data.store import plain_store
from kdcli.deploy.file_answers import file_answers
from kdcli.deploy.onnx_file.read import describe
from kdcli.deploy.side_by_side import bytes_and_milliseconds
from kdcli.evaluation.answers import Logits, ask
from kdcli.evaluation.candidates import compared
from kdcli.evaluation.contenders import Contender, together
from kdcli.evaluation.cost import costs
from kdcli.evaluation.predictions import NAME, Tested, read_predictions, tested
from kdcli.evaluation.survey import surveyed
from kdcli.models.loading import read_args
from kdcli.report.candidates import Compared, short_names
from kdcli.report.file import read_report
from kdcli.runs.layout import EXPORTS
from kdcli.runs.locate import locate
from kdcli.runs.run import Run
from kdcli.training.devices import open_device

TRIED = 32
"""Images by which is foreseen how long all of them take."""


@dataclass(frozen=True)
class Given:
    """What was typed."""

    typed: str
    run: Run | None = None
    """Itself, or around the file."""
    file: Path | None = None
    """An exported one."""
    record: Path | None = None
    """A report.json without its run."""

    @property
    def made(self) -> Run:
        """The run that was typed."""
        assert self.run is not None
        return self.run


def compare(
    things: Sequence[str],
    *,
    data: str | None = None,
    against: str | None = None,
    no_measure: bool = False,
    survey: bool = False,
    size_priority: float | None = None,
    device: str = "auto",
    progress: Progress,
) -> Compared:
    """Who is best among runs, exported files and reports.

    `data`: where the test images lie now, or others of the same classes; `against`: whom gains are
    over (else the baseline among them, else the first); `no_measure` refuses to ask any model;
    `survey` adds the accounting beside teachers, `size_priority` is the a of its distillation score
    (else the recipes').

    Raises:
        UsageError: fewer than two candidates, other test images, or none of these things.
        DataError: `no_measure`, and something is missing; the data are gone; a survey of students
            whose teachers were not measured.
    """
    names = list(dict.fromkeys([*things, *([against] if against else [])]))
    given = [_given(name, progress) for name in names]
    images = _Images(given, data, progress)
    known = {one.typed: _kept(one) for one in given}
    wanted = images.wanted(known)
    found = {name: one for name, one in known.items() if one and one.tested.same_as(wanted)}
    missing = [one for one in given if one.typed not in found]
    if missing and no_measure:
        lacking = some([one.typed for one in missing], 3)
        raise DataError(
            f"--no-measure: what {lacking} answers to these test images is not known",
            "kd evaluate RUN keeps it, or leave --no-measure out",
        )
    place = open_device(device)
    _say_what_is_missing(missing, images, place, progress)
    for one in missing:
        found[one.typed] = _measured(one, images, wanted, place, progress)
    contenders = together([found[name] for name in names])
    if len(contenders) < 2:
        raise UsageError(
            f"{counted(len(contenders), 'candidate')}: nothing to compare",
            "give two or more; runs that differ in their seed alone are one",
        )
    accounts = surveyed(contenders, size_priority) if survey else None
    if accounts and not accounts.accounts:
        raise DataError(
            "--survey: no student here has the answers of its teacher beside its own",
            "kd evaluate RUN measures both; a teacher of other classes has none",
        )
    files = {one.typed[0]: one.file for one in contenders if one.file}
    times = {} if no_measure else bytes_and_milliseconds(files, progress)
    best = compared(
        contenders,
        _against(against, contenders),
        times,
        data=images.name,
        notes=_notes(contenders),
        measured_on=f"{machine()}, 1 thread" if times else None,
    )
    return best.model_copy(update={"survey": accounts})


def _given(typed: str, progress: Progress) -> Given:
    path = Path(typed)
    if path.suffix == ".json" and path.is_file():
        return Given(typed, record=path)
    if path.suffix == ".onnx" and path.is_file():
        around = path.resolve().parent
        around = around.parent if around.name == EXPORTS else around
        is_run = (around / "run.yaml").is_file()
        return Given(typed, run=Run(around) if is_run else None, file=path)
    located = locate(typed, progress)
    if located.run is None or not located.ships:
        raise UsageError(
            f"{typed}: a model.pt without its run, or beside the one that it ships",
            "give run folders, exported files, or report.json files",
        )
    return Given(typed, run=located.run)


def _kept(one: Given) -> Contender | None:
    """What was measured before: by its report, with the answers beside it."""
    if one.file or (one.run and not (one.run.path / "report.json").is_file()):
        return None
    place = one.record or one.made.path / "report.json"
    report = read_report(place, sha256(one.run.model) if one.run else None)
    kept = read_predictions(place.with_name(NAME))
    if one.record and (report is None or kept is None or "student" not in report.models):
        raise UsageError(
            f"{place}: no {NAME} beside it, so nobody knows what its models answered",
            f"keep {NAME} with it, as kd evaluate writes both",
        )
    if report is None or kept is None or report.data is None or "student" not in kept.logits:
        return None
    part = report.models["student"]
    seeds = tuple(seed.seed for seed in part.seeds or ())
    spec = one.run.spec if one.run else None
    return Contender(
        typed=(one.typed,),
        role=report.role,
        name=part.name,
        tested=kept.tested,
        classes=tuple(report.data.test_images_by_class or ()),
        logits=kept.logits["student"],
        beside={role: logits for role, logits in kept.logits.items() if role != "student"},
        seeds=seeds or (spec.seed if spec else 0,),
        costs={"params": part.params, "macs": part.macs},
        file=one.run.model if one.run else None,
        spec=spec,
        report=report,
    )


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
    spec = None if one.file else one.made.spec
    about = describe(one.file) if one.file else None
    args = None if one.file else read_args(one.made.model)[0]
    return Contender(
        typed=(one.typed,),
        role=spec.role if spec else "file",
        name=args.words if args else about.metadata["kd.model"] if about else "",
        tested=wanted,
        classes=source.classes,
        logits=_logits(one, source.test, source.classes, place, progress)[None],
        seeds=(spec.seed if spec else 0,),
        costs=costs(args) if args else {"params": about.parameters if about else 0, "macs": None},
        file=one.file or one.made.model,
        spec=spec,
    )


def _logits(
    one: Given, test: Split, classes: Sequence[str], place: torch.device, progress: Progress
) -> Logits:
    """(N, K) in the order of the data's classes."""
    if one.file:
        return file_answers(one.file, test, classes, progress)
    refuse_other_order(read_args(one.made.model)[1], classes, one.typed, OF_RUN)
    return ask(one.made.model, plain_store(test, one.made.spec.recipe, progress), place).logits


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
            _logits(one, source.test.sample(few), source.classes, place, Silent())
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
    return []
