"""How many labels the teachers of a student have learnt from that its baseline has not."""

from collections.abc import Iterator

from kdcli.core.text import counted
from kdcli.data.source import Source
from kdcli.data.subset import labelled_split
from kdcli.runs.find import spec_beside
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec, TeacherRef


def notes_on_labels(run: Run, source: Source) -> list[str]:
    """A line per teacher, where the student learns from images without labels."""
    if run.spec.recipe.data.labelled_share is None:
        return []
    own = set(labelled_split(run.spec, source).ids)
    return [
        f"{ref.spec.title if ref.spec else 'teacher'} {ref.words}: "
        + _words(list(_behind(ref)), run.spec, own, source)
        for ref in run.spec.teachers
    ]


def _behind(ref: TeacherRef) -> Iterator[Spec | None]:
    """All trainings that a teacher's answers come from, those of its own teachers, too; None for
    one of which nobody knows how it was trained."""
    for member in ref.members:
        spec = member.spec or spec_beside(member.path or "")
        yield spec
        for above in spec.teachers if spec else ():
            yield from _behind(above)


def _words(specs: list[Spec | None], student: Spec, own: set[str], source: Source) -> str:
    here = [spec for spec in specs if spec and spec.data.identity == student.data.identity]
    if len(here) < len(specs):
        return "kd did not train it on these images; nobody can know which labels it has seen"
    further = {name for spec in here for name in labelled_split(spec, source).ids} - own
    began = any(spec.recipe.student.pretrained or spec.weights for spec in here)
    return (
        f"has learnt from {counted(len(further), 'label')} that the baseline has not"
        + ", beside those of the weights that it began with" * began
    )
