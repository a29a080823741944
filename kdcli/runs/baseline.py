"""The baseline of a run, derived from the run's own recipe."""

from kdcli.recipe.match import Match
from kdcli.recipe.schema import SchemeUse, Task
from kdcli.runs.spec import Spec


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
            "data": data.model_copy(update={"unlabelled": None, "pool": None}),
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
