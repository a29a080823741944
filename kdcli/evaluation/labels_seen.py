"""What teachers have learnt from: labels that the baseline has not, and images of the test."""

from collections.abc import Iterator

from kdcli.core.progress import Progress
from kdcli.core.text import counted
from kdcli.data.quality.measured_too import measured_too
from kdcli.data.reopen import learnt_from
from kdcli.data.several import one_behind_the_other
from kdcli.data.source import Source, Split
from kdcli.data.subset import labelled_split
from kdcli.runs.find import spec_beside
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec, TeacherRef


def notes_on_labels(run: Run, source: Source, progress: Progress) -> list[str]:
    """A line per teacher: how many labels it has seen beyond the baseline's, where the student
    learns from images without labels; and how many test images, if any."""
    wanted = run.spec.recipe.data.labelled_share is not None
    own = _contents(labelled_split(run.spec, source)) if wanted else set()
    notes = []
    for ref in run.spec.teachers:
        who = f"{ref.spec.title if ref.spec else 'teacher'} {ref.words}: "
        specs = list(_behind(ref))
        elsewhere = [spec is None or _is_elsewhere(spec, run.spec) for spec in specs]
        if not wanted and not any(elsewhere):
            continue
        found = [_learnt(spec, run.spec, source, progress) for spec in specs]
        if wanted:
            notes.append(who + _words(specs, found, own))
        others = [split for split, other in zip(found, elsewhere, strict=True) if split and other]
        # together: an image that two members have learnt from is one
        theirs = one_behind_the_other(*others) if others else None
        if theirs and (seen := measured_too(theirs, source, progress, ("test",))):
            notes.append(
                f"{who}has learnt from {counted(seen, 'test image')}: its accuracy flatters, and "
                "so may its student's"
            )
    return notes


def _behind(ref: TeacherRef) -> Iterator[Spec | None]:
    """All trainings that a teacher's answers come from, those of its own teachers, too; None for
    one of which nobody knows how it was trained."""
    for member in ref.members:
        spec = member.spec or spec_beside(member.path or "")
        yield spec
        for above in spec.teachers if spec else ():
            yield from _behind(above)


def _is_elsewhere(spec: Spec, student: Spec) -> bool:
    return spec.data.identity != student.data.identity


def _learnt(spec: Spec | None, student: Spec, source: Source, progress: Progress) -> Split | None:
    """The images whose labels it has seen; None where nobody can know."""
    if spec is None:
        return None
    elsewhere = _is_elsewhere(spec, student)
    return learnt_from(spec, progress) if elsewhere else labelled_split(spec, source)


def _words(specs: list[Spec | None], found: list[Split | None], own: set[bytes]) -> str:
    if None in found:
        return "nobody can know which labels it has seen"
    further = set[bytes]().union(*(_contents(split) for split in found if split)) - own
    began = any(spec.recipe.student.pretrained or spec.weights for spec in specs if spec)
    return (
        f"has learnt from {counted(len(further), 'label')} that the baseline has not"
        + ", beside those of the weights that it began with" * began
    )


def _contents(split: Split) -> set[bytes]:
    """Of each image, whatever it is called where."""
    return {row.tobytes() for row in split.read.sums}
