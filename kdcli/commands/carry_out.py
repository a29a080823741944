"""A job from its plan to its finished runs."""

from pathlib import Path

from kdcli.commands.forecast import Forecast, foresee
from kdcli.commands.licence_lines import warn_of_licences
from kdcli.commands.plan import Job
from kdcli.commands.teacher import TOLD, measure_given
from kdcli.commands.train import Trained, ensure, run_of
from kdcli.errors import UsageError
from kdcli.progress import Progress, Silent
from kdcli.runs import state_licence
from kdcli.spec import Spec


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
