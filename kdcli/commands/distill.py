"""`kd distill`: a student that imitates teachers, which are trained first if there are none."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from kdcli.commands.contradictions import refuse_in_recipe
from kdcli.commands.given import read_labels
from kdcli.commands.lineage import distill_spec
from kdcli.commands.naming import assistant_start, model_name, starting_point
from kdcli.commands.plan import Job, open_data, say_device, who_asks
from kdcli.commands.teacher_refs import named
from kdcli.data.source import Source
from kdcli.devices import open_device
from kdcli.errors import UsageError
from kdcli.progress import Progress
from kdcli.recipe_file import LoadedRecipe, load_recipe, refuse_idle, scheme_of

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
    unaided = scheme_of(loaded.recipe).teaches_itself
    if who.student is None or not (who.taught_by or unaided):
        lacking = "--student" if who.taught_by or unaided else "--teacher"
        raise UsageError(
            f"{lacking} is missing",
            shlex.join(["kd", "distill", "--student", "mobilenetv3", "--recipe", recipe])
            if unaided
            else "kd distill --teacher resnet101 --student mobilenetv3",
        )
    taught_by = [named(entry, progress) for entry in who.taught_by]
    between = [assistant_start(thing, progress) for thing in who.assistants]
    beside = [model_name(thing, progress) for thing in who.peers]
    learner, weights = starting_point(who.student, progress)
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


def advise(loaded: LoadedRecipe, source: Source, progress: Progress) -> None:
    """Warn where the numbers of the recipe kd meet data that others are meant for."""
    own, usual, classes = loaded.recipe, load_recipe("kd").recipe, len(source.classes)
    unchanged = (own.task.weight, own.methods) == (usual.task.weight, usual.methods)
    if unchanged and classes >= MANY_CLASSES:
        progress.warn(
            f"{source.name}: {classes:,} classes; the recipe kd is meant for fewer than about "
            f"{MANY_CLASSES}: --recipe kd_many_classes"
        )
