"""From teachers, through assistants or generations, to a student's spec."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.core.progress import Progress
from kdcli.core.text import counted, some
from kdcli.plan.job import Shared, train_spec
from kdcli.plan.names import Start, started
from kdcli.plan.teachers import Entry, refuse_assistants, teacher_refs, with_trail
from kdcli.recipe.edit import update
from kdcli.recipe.load import LoadedRecipe, scheme_of
from kdcli.recipe.schema import Recipe, SchemeUse
from kdcli.runs.baseline import baseline_of
from kdcli.runs.spec import Role, Spec, TeacherRef


@dataclass(frozen=True)
class Roles:
    """Who takes part in a distillation, names resolved."""

    teachers: tuple[Entry, ...]
    """timm names, runs, model.pt files, or given weights; none, in a scheme that needs none."""
    student: Start
    assistants: tuple[Start, ...] = ()
    """The largest first: the first learns from the teachers, each further one, and then the
    student, from the one before (Mirzadeh et al. 2020, arXiv:1902.03393)."""
    peers: tuple[str, ...] = ()
    """timm names of those that learn beside the student."""


def distill_spec(roles: Roles, shared: Shared, seed: int = 0) -> Spec:
    """The student's training, with all that stands above it.

    Raises:
        UnfitTeacher: a finished teacher's classes are not those of the data.
        UnmetNeeds: scheme.weights are for another number of teachers.
        UsageError: a teacher that is named twice, or is finished and has seeds or a subset.
    """
    recipe, student = shared.loaded.recipe, roles.student
    refs = teacher_refs(roles.teachers, shared)
    refuse_assistants(roles.assistants, recipe)
    for start in roles.assistants:
        # from teacher.seed, not the student's: all students of a comparison have the same
        above = _learner("assistant", start, recipe.teacher.seed, refs, shared)
        refs = (TeacherRef(model=start.model, spec=with_trail(above, recipe)),)
    if scheme_of(recipe).has_generations:
        refs = earlier_generations(
            refs, roles.assistants, lambda role, by: _learner(role, student, seed, by, shared)
        )
    return _with_peers(_learner("student", student, seed, refs, shared), roles.peers, shared)


def refuse_peers(recipe: Recipe, named: Sequence[str]) -> None:
    """Raise UsageError for peers in a scheme that has none."""
    if named and not scheme_of(recipe).has_peers:
        raise UsageError(
            f"scheme {recipe.scheme.name} has no peers; --peer {named[0]} would mean nothing",
            "--recipe mutual trains networks that learn from each other",
        )


def _with_peers(spec: Spec, named: Sequence[str], shared: Shared) -> Spec:
    """Copies of the student, in a scheme that has peers, but for those that are named.

    A recipe of ours that is for fewer is raised aloud.

    Raises:
        UsageError: the scheme has no peers, or fewer were asked for than are named.
    """
    refuse_peers(spec.recipe, named)
    if not scheme_of(spec.recipe).has_peers:
        return spec
    count, wanted = 1 + len(named), int(spec.recipe.scheme.options["peers"])
    if count > wanted:
        if shared.loaded.chosen("scheme.peers"):
            raise UsageError(
                f"scheme.peers={wanted} ({shared.loaded.origin('scheme.peers')}): the student "
                f"and {len(named)} named by --peer are {count} networks",
                f"--set scheme.peers={count}, or leave a --peer out",
            )
        shared.progress.say(f"scheme.peers: {count}, as many as are named and the student")
        recipe = update(spec.recipe, {"scheme.peers": count})
        spec = spec.model_copy(update={"recipe": recipe})
    copies = max(count, wanted) - count
    return spec.model_copy(update={"peers": (*named, *[spec.model] * copies)})


def _learner(
    role: Role, start: Start, seed: int, teachers: tuple[TeacherRef, ...], shared: Shared
) -> Spec:
    # by how many teach this one: of a chain, the head may have three and the next one
    loaded = _for_so_many(teachers, started(shared.loaded, start.weights), shared.progress)
    spec = train_spec(start.model, replace(shared, loaded=loaded), seed, teachers)
    whose = {"role": role, "weights": start.weights, "unlabelled": shared.unlabelled}
    return spec.model_copy(update=whose)


def _for_so_many(
    teachers: tuple[TeacherRef, ...], loaded: LoadedRecipe, progress: Progress
) -> LoadedRecipe:
    """The recipe; of scheme offline, which takes one teacher, several make scheme average."""
    count, use = _members(teachers), loaded.recipe.scheme
    if not count:
        return loaded
    if count > 1 and use.name == "offline":
        progress.say(f"{count} teachers: scheme offline -> average, their mean")
        use = _average()
    weighed = SchemeUse(name=use.name, **use.options | _weights(use, teachers))
    loaded = replace(loaded, recipe=loaded.recipe.model_copy(update={"scheme": weighed}))
    scheme_of(loaded.recipe).panel(count)  # it objects before anything is trained
    return loaded


def _average() -> SchemeUse:
    """With its default options, as a recipe that says `scheme: average` has it: both ways of asking
    make one digest, and so one run."""
    use = SchemeUse(name="average")
    return SchemeUse(name=use.name, **scheme_of(Recipe(scheme=use)).model_dump(by_alias=True))


def _weights(use: SchemeUse, teachers: tuple[TeacherRef, ...]) -> dict[str, Any]:
    """`scheme.weights`, one per member: a named teacher's is spread evenly over its members.

    They are those of the teachers that were named; an assistant is one teacher, whatever taught it.

    Raises:
        UnmetNeeds: neither as many as named teachers nor as many as members.
    """
    weights, named, members = use.options.get("weights"), len(teachers), _members(teachers)
    if weights is None or len(weights) == members:
        return {}
    if any(one.spec and one.spec.role == "assistant" for one in teachers):
        return {"weights": None}
    if len(weights) != named:
        raise UnmetNeeds(
            f"scheme.weights has {len(weights)} for {members} members: "
            f"{some(one.words for one in teachers)}",
            f"give {counted(named, 'weight')}, one per named teacher"
            + (f", or {members:,}, one per member" if members > named else "")
            + ", in their order; or leave scheme.weights out",
        )
    shares = zip(weights, teachers, strict=True)
    return {"weights": tuple(w / one.seeds for w, one in shares for _ in range(one.seeds))}


def _members(teachers: tuple[TeacherRef, ...]) -> int:
    return sum(teacher.seeds for teacher in teachers)


Learner = Callable[[Role, tuple[TeacherRef, ...]], Spec]
"""The student's training in a role, taught by these."""


def earlier_generations(
    teachers: tuple[TeacherRef, ...],
    assistants: Sequence[Start],
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
            f"--assistant {assistants[0].model}: in scheme {student.recipe.scheme.name} every "
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
