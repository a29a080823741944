"""The trainings around a student: who teaches it, and what it is compared with."""

from dataclasses import replace

from kdcli.core.errors import UsageError
from kdcli.core.text import some
from kdcli.plan.job import Job
from kdcli.runs.baseline import controls_of
from kdcli.runs.spec import Spec


def above(spec: Spec) -> dict[str, Spec]:
    """Every training that has to be finished before this one, by digest; the first stands first."""
    found: dict[str, Spec] = {}
    for one in spec.before:
        found |= above(one) | {one.digest: one}
    return found


def around(student: Spec) -> dict[str, Spec]:
    """Those above it, and what it is compared with."""
    controls = controls_of(student).values()
    return above(student) | {one.digest: one for one in controls}


def part_of(job: Job, digest: str) -> Job:
    """The job of one of the trainings around a student.

    Raises:
        UsageError: there is none of this digest.
    """
    parts = around(job.spec)
    if digest not in parts:
        known = [f"{digest} ({one.title} {one.model})" for digest, one in parts.items()]
        raise UsageError(
            f"--only {digest}: no training around this student",
            f"there are {some(known)}; what 'auto' means for student.precision and "
            "teacher.precision goes by the processor, and is part of a digest",
        )
    return replace(job, spec=parts[digest], seeds=1, asked=False)
