"""`kd distill`: a student that imitates teachers, which are trained first if there are none.

Here a request becomes a job; `commands/train.py` carries it out, as it does that of `kd train`.
"""

from dataclasses import replace

from kdcli.core.errors import UsageError
from kdcli.core.examples import STUDENT, TEACHER
from kdcli.core.progress import Progress
from kdcli.core.text import short
from kdcli.data.source import Source
from kdcli.evaluation.cost import parameters
from kdcli.models.build import build_meta
from kdcli.models.given import read_labels
from kdcli.models.model_args import ModelArgs
from kdcli.plan.ask import Ask
from kdcli.plan.data import say_mirrored, warn_of_unbalanced
from kdcli.plan.job import Job, Open, open_shared
from kdcli.plan.lineage import Roles, distill_spec, refuse_peers
from kdcli.plan.names import assistant_start, model_name, starting_point
from kdcli.plan.teachers import named
from kdcli.recipe.conflicts import refuse_in_recipe
from kdcli.recipe.load import LoadedRecipe, load_recipe, needs_teacher, refuse_idle, scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.recipe.teacher import Checkpoints
from kdcli.recipe.who import Who
from kdcli.runs.spec import Spec
from kdcli.training.learner import learner_args
from kdcli.training.teachers import stand_in_args

MANY_CLASSES = 500
"""From here on published comparisons take the numbers of the recipe kd_many_classes."""


def distill_job(ask: Ask, progress: Progress, opened: Open = open_shared) -> Job:
    """`kd distill`; online and self-distillation need no teacher."""
    loaded = load_recipe(ask.recipe, ask.settings)
    recipe = loaded.recipe
    refuse_idle(loaded)
    if not recipe.methods:
        raise UsageError(
            f"recipe {loaded.name} has no teacher (scheme {recipe.scheme.name})",
            replace(ask, model=ask.student or "MODEL", student=None, teachers=()).command("train"),
        )
    refuse_in_recipe(recipe)
    who = ask.who(recipe, progress)
    refuse_peers(recipe, who.peers)
    student = _who_learns(who, recipe, ask)
    _tell_of_idle(who, recipe, progress)
    roles = Roles(
        teachers=tuple(named(entry, progress) for entry in who.taught_by),
        assistants=tuple(assistant_start(thing, progress) for thing in who.assistants),
        peers=tuple(model_name(thing, progress) for thing in who.peers),
        student=starting_point(student, progress),
    )
    labels = read_labels(ask.classes) if ask.classes else None
    shared = replace(opened(loaded, who.data, ask.device, progress), labels=labels)
    advise(loaded, shared.source, progress)
    spec = distill_spec(roles, shared, who.seed or 0)
    say_mirrored(spec, loaded, progress)
    warn_of_unbalanced(spec, shared.source, progress)
    _warn_of_small(spec, shared.source, progress)
    return Job(spec, shared.source, shared.device)


def _who_learns(who: Who, recipe: Recipe, ask: Ask) -> str:
    """Who learns.

    Raises:
        UsageError: nobody does, or nobody teaches; the way out has what was given.
    """
    taught = bool(who.taught_by) or scheme_of(recipe).teaches_itself
    if who.student is not None and taught:
        return who.student
    whole = ask if who.student else replace(ask, student=STUDENT)
    whole = whole if taught else replace(whole, teachers=(TEACHER,))
    missing = "--student" if taught else "--teacher"
    raise UsageError(f"{missing} is missing", whole.command("distill"))


def _tell_of_idle(who: Who, recipe: Recipe, progress: Progress) -> None:
    """Say what was asked for, and teaches nobody or is read by nobody."""
    if who.taught_by and not needs_teacher(recipe):
        names = (entry if isinstance(entry, str) else entry.model for entry in who.taught_by)
        progress.say(
            f"scheme {recipe.scheme.name} needs no teacher: {', '.join(names)} is only compared "
            "with"
        )
    follow, checkpoints = recipe.teacher.follow, recipe.teacher.checkpoints
    if follow != "trajectory" and checkpoints != Checkpoints():
        changed = ", ".join(
            f"teacher.checkpoints.{key}={value}"
            for key, value in checkpoints
            if value != getattr(Checkpoints(), key)
        )
        progress.warn(f"{changed}: nobody reads it, teacher.follow is {follow}, not trajectory")


SMALL = 3
"""So many times larger than all its teachers, a student has probably changed places with them."""


def _warn_of_small(spec: Spec, source: Source, progress: Progress) -> None:
    classes = len(source.classes)
    counts = {ref.model: _parameters(stand_in_args(ref, classes)) for ref in spec.teachers}
    student = _parameters(learner_args(spec, classes))
    if counts and student >= SMALL * (most := max(counts.values())):
        progress.warn(
            f"teacher {max(counts, key=lambda model: counts[model])} has {short(most)} parameters, "
            f"its student {spec.model} {short(student)}, {student / most:.0f} times as many: are "
            "--teacher and --student swapped?"
        )


def _parameters(args: ModelArgs) -> int:
    return parameters(build_meta(args))


def advise(loaded: LoadedRecipe, source: Source, progress: Progress) -> None:
    """Warn where the numbers of the recipe kd meet data that others are meant for."""
    own, usual, classes = loaded.recipe, load_recipe("kd").recipe, len(source.classes)
    unchanged = (own.task.weight, own.methods) == (usual.task.weight, usual.methods)
    if unchanged and classes >= MANY_CLASSES:
        progress.warn(
            f"{source.name}: {classes:,} classes; the recipe kd is meant for fewer than about "
            f"{MANY_CLASSES}: --recipe kd_many_classes"
        )
