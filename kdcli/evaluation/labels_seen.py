"""How many labels the teachers of a student have learnt from that its baseline has not."""

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
        f"teacher {ref.words}: {_words(ref, run.spec, own, source)}" for ref in run.spec.teachers
    ]


def _words(ref: TeacherRef, student: Spec, own: set[str], source: Source) -> str:
    specs = [one.spec or spec_beside(one.path or "") for one in ref.members]
    here = [spec for spec in specs if spec and spec.data.identity == student.data.identity]
    if len(here) < len(specs):
        return "kd did not train it on these images; nobody can know which labels it has seen"
    further = {name for spec in here for name in labelled_split(spec, source).ids} - own
    began = any(spec.recipe.student.pretrained or spec.weights for spec in here)
    return (
        f"has learnt from {counted(len(further), 'label')} that the baseline has not"
        + ", beside those of the weights that it began with" * began
    )
