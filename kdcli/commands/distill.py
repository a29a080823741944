"""`kd distill`: a student that imitates teachers, which are trained first if there are none."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress
from kdcli.data.source import Source
from kdcli.models.given import read_labels
from kdcli.plan.data import open_data
from kdcli.plan.job import Job, say_device, who_asks
from kdcli.plan.lineage import distill_spec, refuse_peers
from kdcli.plan.names import assistant_start, model_name, starting_point
from kdcli.plan.teachers import named
from kdcli.recipe.conflicts import refuse_in_recipe
from kdcli.recipe.load import LoadedRecipe, load_recipe, needs_teacher, refuse_idle, scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.recipe.teacher import Checkpoints
from kdcli.recipe.who import Who
from kdcli.training.devices import open_device

MANY_CLASSES = 500
"""From here on published comparisons take the numbers of the recipe kd_many_classes."""


def distill_job(
    teachers: str | Sequence[str] | None,
    student: str | None,
    *,
    assistants: Sequence[str] = (),
    peers: Sequence[str] = (),
    recipe: str = "kd",
    settings: tuple[str, ...] = (),
    data: str | None = None,
    classes: Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Progress,
) -> Job:
    """`kd distill`: what is None or empty comes from the recipe's `who:` block.

    `assistants` stand between teachers and student, the largest first; `peers` learn beside the
    student, in schemes that have such; `classes` is a file that names the classes of a teacher's
    given weights. Online and self-distillation need no teacher.
    """
    loaded = load_recipe(recipe, settings)
    refuse_idle(loaded)
    if not loaded.recipe.methods:
        raise UsageError(
            f"recipe {loaded.name} has no teacher (scheme {loaded.recipe.scheme.name})",
            shlex.join(["kd", "train", student or "MODEL", "--recipe", recipe]),
        )
    refuse_in_recipe(loaded.recipe)
    who = who_asks(
        loaded.recipe,
        progress,
        teachers=(teachers,) if isinstance(teachers, str) else tuple(teachers or ()),
        assistants=tuple(assistants),
        peers=tuple(peers),
        student=student,
        data=data,
        seed=seed,
    )
    refuse_peers(loaded.recipe, who.peers)
    student = _who_learns(who, loaded.recipe, recipe)
    _tell_of_idle(who, loaded.recipe, progress)
    taught_by = [named(entry, progress) for entry in who.taught_by]
    between = [assistant_start(thing, progress) for thing in who.assistants]
    beside = [model_name(thing, progress) for thing in who.peers]
    learner, weights = starting_point(student, progress)
    labels = read_labels(classes) if classes else None
    place = open_device(device)  # a device that is not there is told before the data are read
    source, ref = open_data(who.data, progress, balance=loaded.recipe.train.balance)
    say_device(place, progress)
    advise(loaded, source, progress)
    spec = distill_spec(
        taught_by,
        learner,
        loaded,
        source,
        ref,
        who.seed or 0,
        place,
        assistants=between,
        peers=beside,
        weights=weights,
        labels=labels,
        progress=progress,
    )
    return Job(spec, source, place)


def _who_learns(who: Who, recipe: Recipe, asked: str) -> str:
    """Who learns.

    Raises:
        UsageError: nobody does, or nobody teaches; the way out has what was given.
    """
    taught = bool(who.taught_by) or scheme_of(recipe).teaches_itself
    if who.student is not None and taught:
        return who.student
    given = [entry if isinstance(entry, str) else entry.model for entry in who.taught_by]
    teachers = given if taught else ["resnet101"]
    words = ["kd", "distill", *(word for one in teachers for word in ("--teacher", one))]
    words += ["--student", who.student or "mobilenetv3"]
    words += ["--recipe", asked] if asked != "kd" else []
    raise UsageError(f"{'--student' if taught else '--teacher'} is missing", shlex.join(words))


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


def advise(loaded: LoadedRecipe, source: Source, progress: Progress) -> None:
    """Warn where the numbers of the recipe kd meet data that others are meant for."""
    own, usual, classes = loaded.recipe, load_recipe("kd").recipe, len(source.classes)
    unchanged = (own.task.weight, own.methods) == (usual.task.weight, usual.methods)
    if unchanged and classes >= MANY_CLASSES:
        progress.warn(
            f"{source.name}: {classes:,} classes; the recipe kd is meant for fewer than about "
            f"{MANY_CLASSES}: --recipe kd_many_classes"
        )
