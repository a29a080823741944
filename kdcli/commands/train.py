"""Train one model, or find it trained: a chain of runs is a list of specs handed to `ensure`."""

from pathlib import Path

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress, Silent
from kdcli.plan.data import open_data
from kdcli.plan.forecast import Forecast, foresee
from kdcli.plan.job import Job, refuse_taught, say_device, train_spec, who_asks
from kdcli.plan.names import started, starting_point
from kdcli.recipe.conflicts import refuse_in_recipe
from kdcli.recipe.load import load_recipe
from kdcli.runs.run import state_licence
from kdcli.runs.spec import Spec
from kdcli.training.devices import open_device
from kdcli.training.ensure import Trained, ensure, run_of
from kdcli.training.licences import warn_of_licences
from kdcli.training.teachers import TOLD, measure_given


def train_job(
    model: str,
    *,
    recipe: str = "supervised",
    settings: tuple[str, ...] = (),
    data: str | None = None,
    seed: int | None = None,
    seeds: int = 1,
    device: str = "auto",
    progress: Progress,
) -> Job:
    """`kd train`: one model from labels alone, `seeds` times from `seed` on.

    Data and seed may come from a `who:` block.
    """
    loaded = load_recipe(recipe, settings)
    refuse_taught(loaded)
    refuse_in_recipe(loaded.recipe)
    who = who_asks(loaded.recipe, progress, data=data, seed=seed)
    name, weights = starting_point(model, progress)
    place = open_device(device)  # a device that is not there is told before the data are read
    source, ref = open_data(who.data, progress, balance=loaded.recipe.train.balance)
    say_device(place, progress)
    spec = train_spec(name, started(loaded, weights), source, ref, who.seed or 0, place)
    return Job(spec.model_copy(update={"weights": weights}), source, place, seeds)


def dry_run(
    job: Job, progress: Progress, *, out: Path | None = None, again: bool = False
) -> Forecast:
    """What it will take; a given teacher is measured here as its training would do first.

    Raises:
        UnfitTeacher: it is hardly better than chance.
    """
    _refuse_one_place(job, out)
    if _to_train(job, out, again):
        warn_of_licences(job.spec, progress)
    found = foresee(job, progress, out=out, again=again)
    if found.now:
        measure_given(job.spec, job.source, job.device, progress)
    return found


def carry_out(
    job: Job, progress: Progress, *, out: Path | None = None, again: bool = False
) -> Trained:
    """The only, or first, run of `carry_out_all`."""
    return carry_out_all(job, progress, out=out, again=again)[0]


def carry_out_all(
    job: Job, progress: Progress, *, out: Path | None = None, again: bool = False
) -> list[Trained]:
    """Say what it will take, then train each seed, teachers first; or find them finished."""
    _refuse_one_place(job, out)
    finished = [spec not in _to_train(job, out, again) for spec in job.specs]
    if not all(finished):
        warn_of_licences(job.spec, progress)
        for line in foresee(job, progress, out=out, again=again).lines():
            progress.say(line)
    if sum(finished) > TOLD:
        progress.say(f"{sum(finished)} of {job.seeds} runs are finished")
    trained = []
    for spec, known in zip(job.specs, finished, strict=True):
        told = Silent() if known and sum(finished) > TOLD else progress
        trained.append(ensure(spec, job.source, job.device, told, out=out, again=again, asked=True))
        state_licence(trained[-1].run, spec.recipe.data.licence)
    return trained


def _to_train(job: Job, out: Path | None, again: bool) -> list[Spec]:
    return [spec for spec in job.specs if again or not run_of(spec, out, again).finished]


def _refuse_one_place(job: Job, out: Path | None) -> None:
    if out and job.seeds > 1:
        raise UsageError(
            f"--out {out} is the folder of one run, --seeds {job.seeds} makes {job.seeds}",
            "leave --out out, and set KD_RUNS to have them all elsewhere",
        )
