"""The generations in front of a student that is taught by its own kind."""

from collections.abc import Callable, Sequence

from kdcli.commands.plan import baseline_of
from kdcli.errors import UsageError
from kdcli.recipe import SchemeUse
from kdcli.spec import FileRef, Role, Spec, TeacherRef

Learner = Callable[[Role, tuple[TeacherRef, ...]], Spec]
"""The student's training in a role, taught by these."""


def earlier_generations(
    teachers: tuple[TeacherRef, ...],
    assistants: Sequence[tuple[str, FileRef | None]],
    learner: Learner,
) -> tuple[TeacherRef, ...]:
    """Who teaches the last generation: the one before it, and so on up to generation 0.

    Each is taught offline, so that its weights do not depend on how many follow. Generation 0 is
    the named teacher; without, the student's own baseline from other starting weights, and from
    `teacher.seed`, as every teacher is.

    Raises:
        UsageError: there are assistants.
    """
    student = learner("student", teachers)
    if assistants:
        raise UsageError(
            f"--assistant {assistants[0][0]}: in scheme {student.recipe.scheme.name} every "
            "generation is a model like the student, and nobody stands between",
            "leave --assistant out, or distill through it by --recipe kd",
        )
    above = teachers or (_teacher(_from_labels(student)),)
    for _ in range(1, int(student.recipe.scheme.options["generations"])):
        above = (_teacher(_offline(learner("generation", above))),)
    return above


def _teacher(spec: Spec) -> TeacherRef:
    return TeacherRef(model=spec.model, spec=spec)


def _from_labels(student: Spec) -> Spec:
    """The very training that its baseline is, but for where it begins."""
    apart = {"role": "teacher", "seed": student.recipe.teacher.seed}
    return baseline_of(student).model_copy(update=apart)


def _offline(spec: Spec) -> Spec:
    recipe = spec.recipe.model_copy(update={"scheme": SchemeUse(name="offline")})
    return spec.model_copy(update={"recipe": recipe})
