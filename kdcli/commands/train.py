"""Train one model, or find it trained: a chain of runs is a list of specs handed to `ensure`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcli.core.errors import UsageError
from kdcli.core.files import probe
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import counted
from kdcli.data.defaults import FEW_VALIDATED
from kdcli.data.store import plain_store
from kdcli.evaluation.lead import Lead, lead
from kdcli.evaluation.measure import measure
from kdcli.models.loading import answers
from kdcli.plan.ask import Ask
from kdcli.plan.data import say_mirrored
from kdcli.plan.forecast import foresee
from kdcli.plan.foreseen import Forecast
from kdcli.plan.job import Job, open_shared, refuse_taught, train_spec, trained_alone
from kdcli.plan.names import started, starting_point
from kdcli.plan.signs import Foretold, can_be_foretold, from_what_is_there
from kdcli.recipe.conflicts import refuse_in_recipe
from kdcli.recipe.load import load_recipe
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import is_finished, runs_root
from kdcli.runs.run import state_licence
from kdcli.runs.spec import Spec, TeacherRef
from kdcli.training.answers.decide import finished_teachers
from kdcli.training.ensure import Trained, ensure, run_of, teacher_files
from kdcli.training.licences import warn_of_licences
from kdcli.training.site import Site
from kdcli.training.teachers import TOLD, measure_given
from kdcli.training.threads import Choose, nobody_knows


@dataclass(frozen=True)
class Carried:
    """What a command trained or found finished."""

    trained: list[Trained]
    """One for each seed."""
    leads: list[Lead]
    """Of the teachers over the baseline; empty where there is no baseline yet."""


@dataclass(frozen=True)
class Planned:
    """What a dry run found."""

    forecast: Forecast
    foretold: Foretold | None
    """None: nothing is left to train, or nobody teaches who knew it beforehand."""

    def lines(self) -> list[str]:
        """In words."""
        return [*self.forecast.lines(), *(self.foretold.lines() if self.foretold else ())]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        prognosis = {"prognosis": self.foretold.as_dict()} if self.foretold else {}
        return {"plan": self.forecast.as_dict()} | prognosis


def train_job(ask: Ask, progress: Progress) -> Job:
    """`kd train`: `ask.model` from labels alone, `ask.seeds` times from the seed on."""
    loaded = load_recipe(ask.recipe, ask.settings)
    refuse_taught(loaded)
    loaded = trained_alone(loaded)
    refuse_in_recipe(loaded.recipe)
    who = ask.who(loaded.recipe, progress)
    assert ask.model is not None  # an argument of `kd train`
    start = starting_point(ask.model, progress)
    shared = open_shared(started(loaded, start.weights), who.data, ask.device, progress)
    spec = train_spec(start.model, shared, who.seed or 0)
    spec = spec.model_copy(update={"weights": start.weights})
    say_mirrored(spec, loaded, progress)
    return Job(spec, shared.source, shared.device, ask.seeds)


def refuse_unwritable(out: Path | None) -> None:
    """Before data are read, which may take minutes: raise DiskError unless a run can be made at
    `out`, else where runs lie. What holds something else is refused later."""
    place = out or runs_root()
    if place.is_dir() or not place.exists():
        probe(place)


def dry_run(
    job: Job,
    progress: Progress,
    *,
    out: Path | None = None,
    again: bool = False,
    baseline_first: bool = False,
) -> Planned:
    """What a job of `kd train` or `kd distill` will take, and whether a teacher will pay; a given
    one is measured here, as its training would do first.

    Raises:
        UnfitTeacher: it is hardly better than chance.
    """
    _refuse_one_place(job, out)
    if _to_train(job, out, again):
        _warn_before(job, progress)
    found = foresee(job, progress, out=out, again=again, baseline_first=baseline_first)
    if found.now:
        measure_given(job.spec, job.site(progress))
    foretold = from_what_is_there(job) if found.now and can_be_foretold(job.spec) else None
    return Planned(found, foretold)


def carry_out(
    job: Job,
    progress: Progress,
    *,
    out: Path | None = None,
    again: bool = False,
    baseline_first: bool = False,
) -> Carried:
    """Of `kd train` or `kd distill`: say what it will take, then train each seed,
    teachers first; or find them finished.

    `baseline_first`: the baseline of the first seed, too, before its student: how far the teachers
    are ahead of it is said whenever it is there by then.
    """
    _refuse_one_place(job, out)
    finished = [spec not in _to_train(job, out, again) for spec in job.specs]
    choose: Choose = nobody_knows
    if not all(finished):
        _warn_before(job, progress)
        forecast = foresee(job, progress, out=out, again=again, baseline_first=baseline_first)
        for line in forecast.lines():
            progress.say(line)
        choose = forecast.threads_of
    if sum(finished) > TOLD:
        progress.say(f"{sum(finished)} of {job.seeds} runs are finished")
    trained, leads = list[Trained](), list[Lead]()
    for spec, known in zip(job.specs, finished, strict=True):
        told = Silent() if known and sum(finished) > TOLD else progress
        site = job.site(told, choose)
        if not trained and not (known and not baseline_first):
            leads = _leads(spec, site, baseline_first)
        trained.append(ensure(spec, site, out=out, again=again, asked=job.asked))
        state_licence(trained[-1].run, spec.recipe.data.licence)
    return Carried(trained, leads)


def _leads(spec: Spec, site: Site, baseline_first: bool) -> list[Lead]:
    """Of each finished teacher over the baseline, where that is finished as well, or comes first;
    said, too."""
    known = is_finished(baseline_of(spec))
    if not spec.is_taught or not (baseline_first or known):
        return []
    place = site.silent() if known else site
    alone = ensure(baseline_of(spec), place, why="the baseline first").run
    if not can_be_foretold(spec):
        return []
    done = finished_teachers(spec)
    files = [file for file in (done if all(done) else teacher_files(spec, site)) if file]
    told = {  # of other classes there is nothing that one could be right about
        file: _named(ref)
        for ref, file in list(zip(spec.members, files, strict=True))[:TOLD]
        if answers(file, site.source.classes)
    }
    store = plain_store(site.source.validation, spec.recipe, site.progress)
    baseline, *theirs = measure([alone.model, *told], store, site.device).right(store.labels)
    found = [
        lead(name, spec.model, right, baseline)
        for name, right in zip(told.values(), theirs, strict=True)
    ]
    for one in found:
        (site.progress.warn if one.behind else site.progress.say)(one.words)
    return found


def _named(ref: TeacherRef) -> str:
    """`assistant resnet18`, `teacher resnet18 of seed 2`."""
    if ref.spec is None:
        return f"teacher {ref.model}"
    return f"{ref.spec.title} {ref.model}" + (f" of seed {ref.spec.seed}" if ref.spec.seed else "")


def _warn_before(job: Job, progress: Progress) -> None:
    """Once for all that the command trains."""
    warn_of_licences(job.spec, progress)
    if (count := len(job.source.validation)) < FEW_VALIDATED:
        progress.warn(
            f"{counted(count, 'validation image')}: the choice of epoch and the judgement of "
            "teachers hang on single images; give more, in val/"
        )


def _to_train(job: Job, out: Path | None, again: bool) -> list[Spec]:
    return [spec for spec in job.specs if again or not run_of(spec, out, again).finished]


def _refuse_one_place(job: Job, out: Path | None) -> None:
    if out and job.seeds > 1:
        raise UsageError(
            f"--out {out} is the folder of one run, --seeds {job.seeds} makes {job.seeds}",
            "leave --out out, and set KD_RUNS to have them all elsewhere",
        )
