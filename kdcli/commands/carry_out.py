"""A job from its plan to its finished run."""

from pathlib import Path

from kdcli.commands.forecast import foresee
from kdcli.commands.plan import Job
from kdcli.commands.train import Trained, ensure
from kdcli.progress import Progress
from kdcli.runs import Run, find


def carry_out(
    job: Job, progress: Progress, *, out: Path | None = None, again: bool = False
) -> Trained:
    """Say what it will take, then train it, its teachers first; or find it finished."""
    run = Run(out) if out else find(job.spec)
    if again or run is None or not run.finished:
        forecast = foresee(job.spec, job.source, job.device, progress, again=again)
        for line in forecast.lines():
            progress.say(line)
    return ensure(job.spec, job.source, job.device, progress, out=out, again=again, asked=True)
