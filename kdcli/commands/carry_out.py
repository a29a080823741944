"""A job from its plan to its finished run."""

from pathlib import Path

from kdcli.commands.forecast import Forecast, foresee
from kdcli.commands.plan import Job
from kdcli.commands.teacher import measure_given
from kdcli.commands.train import Trained, ensure, run_of
from kdcli.progress import Progress


def dry_run(
    job: Job, progress: Progress, *, out: Path | None = None, again: bool = False
) -> Forecast:
    """What it will take; a given teacher is measured here as its training would do first.

    Raises:
        UnfitTeacher: it is hardly better than chance.
    """
    found = foresee(job, progress, out=out, again=again)
    if found.now:
        measure_given(job.spec, job.source, job.device, progress)
    return found


def carry_out(
    job: Job, progress: Progress, *, out: Path | None = None, again: bool = False
) -> Trained:
    """Say what it will take, then train it, its teachers first; or find it finished."""
    if again or not run_of(job.spec, out, again).finished:
        for line in foresee(job, progress, out=out, again=again).lines():
            progress.say(line)
    return ensure(job.spec, job.source, job.device, progress, out=out, again=again, asked=True)
