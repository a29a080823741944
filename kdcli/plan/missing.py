"""What `kd evaluate` has to train before it can compare."""

from collections.abc import Iterator
from pathlib import Path

from kdcli.evaluation.participants import cast_of, with_given_files
from kdcli.runs.baseline import controls_of
from kdcli.runs.find import find, is_finished
from kdcli.runs.run import Need, Run
from kdcli.runs.spec import Spec, TeacherRef


def missing(run: Run, seeds: int) -> list[Spec]:
    """Students of further seeds, what they are compared with, and teachers whose file is gone, each
    once: what there is no finished run of. Teachers of those that are missing are not among
    them."""
    found: dict[str, Spec] = {}
    seed = run.spec.seed
    for student in with_given_files(run).alike(seeds):
        own = run if student.seed == seed else find(student)
        if own is None or not own.finished:
            found[student.digest] = student
        elif own is run or _own_generations(student):  # else its teachers are the run's
            found |= {spec.digest: spec for spec in _above(own)}
        controls = controls_of(student).values()
        found |= {one.digest: one for one in controls if not is_finished(one)}
    return list(found.values())


def _own_generations(student: Spec) -> bool:
    return any(ref.spec and ref.spec.role == "generation" for ref in student.teachers)


def _above(run: Run) -> Iterator[Spec]:
    """Those of its teachers, and of who stands between, that would be trained again."""
    lost: list[Spec] = []

    def place(ref: TeacherRef, need: Need | None) -> Path | None:
        if need and need.path.is_file():
            return need.path
        if ref.spec is None:
            return None  # given: nobody can train it
        known = find(ref.spec)
        if known and known.finished:
            return known.model
        lost.append(ref.spec)
        return None

    if run.spec.teachers and not run.spec.alongside:
        cast_of(run, place)
    yield from lost
