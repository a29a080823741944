"""What a student is compared with, derived from its own run: its baseline, and where it learns from
images without labels its self-training."""

from kdcli.recipe.match import Match
from kdcli.recipe.schema import SchemeUse, Task
from kdcli.runs.spec import Spec, TeacherRef


def controls_of(spec: Spec) -> dict[str, Spec]:
    """All of them, by role; none of a model that learnt from labels alone."""
    if not spec.is_taught:
        return {}
    found = {"baseline": baseline_of(spec)}
    data = spec.recipe.data
    further = data.labelled_share is not None and (data.hidden or spec.unlabelled)
    if spec.role == "student" and further:
        found["self_training"] = self_training_of(spec)
    return found


def baseline_of(spec: Spec) -> Spec:
    """The same student, data, training settings and seed, without a teacher.

    Its task weight is 1: the recipe's own would quietly handicap it (0.1 in recipe kd, where the
    teacher has the rest). That of an assistant is that of a student of its model. Images without
    labels are of no use to it.

    All that belongs to teaching is set back to the schema's default, so that recipes that differ
    in nothing else share one baseline: another temperature trains none anew.
    """
    recipe = spec.recipe
    smoothing, data = recipe.task.label_smoothing, recipe.data
    recipe = recipe.model_copy(
        update={
            "data": data.model_copy(
                update={"unlabelled": None, "labelled_share": None, "pool": None}
            ),
            "scheme": SchemeUse(name="alone"),
            "task": Task(weight=1.0, label_smoothing=smoothing),
            "methods": {},
            "match": Match(),
            "teacher": recipe.teacher.model_copy(
                update={"follow": "finished", "answers": "auto", "views": "auto", "keep": "all"}
            ),
        }
    )
    alone = {"role": "baseline", "recipe": recipe, "teachers": (), "peers": (), "unlabelled": None}
    return spec.model_copy(update=alone | {"keeps": None})


def self_training_of(spec: Spec) -> Spec:
    """The same student, taught by its own baseline: what images without labels give where nobody
    knows more of them than those few labels tell."""
    recipe = spec.recipe
    teacher = recipe.teacher.model_copy(
        # the best that these labels give, however little it is
        update={"precision": recipe.student.precision, "allow_weak": True, "follow": "finished"}
    )
    own = recipe.model_copy(
        update={
            "scheme": SchemeUse(name="offline"),
            "teacher": teacher,
            # pairs that were named are those of another teacher's stages
            "match": recipe.match.model_copy(update={"pairs": None}),
        }
    )
    taught_by = (TeacherRef(model=spec.model, spec=baseline_of(spec)),)
    return spec.model_copy(update={"recipe": own, "teachers": taught_by, "keeps": None})
