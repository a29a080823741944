"""From what a person asked for to specs: names resolved, every `auto` decided, nothing trained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kdcli.commands.adopt import check_classes, teacher_from
from kdcli.commands.defaults import resolve_recipe
from kdcli.commands.given import is_given, parse, size_of
from kdcli.commands.loading import read_args
from kdcli.commands.naming import is_file, started
from kdcli.commands.naming import model_name as model_name
from kdcli.commands.naming import teacher_name as teacher_name
from kdcli.commands.trial import share_right
from kdcli.commands.unlabelled import unlabelled_of
from kdcli.data.broken import BACK
from kdcli.data.open import location, open_source
from kdcli.data.source import Source, Split
from kdcli.data.survey import Survey, survey
from kdcli.devices import describe_device
from kdcli.errors import DamagedFile, DataError, UsageError
from kdcli.files import sha256
from kdcli.progress import Progress, Silent
from kdcli.recipe import Match, Recipe, SchemeUse, Task, Who, update
from kdcli.recipe_file import LoadedRecipe, load_recipe, needs_teacher
from kdcli.runs import locate
from kdcli.spec import DataRef, FileRef, Spec, TeacherRef


@dataclass(frozen=True, eq=False)
class Job:
    """A training that was asked for: what, on which images, where."""

    spec: Spec
    source: Source
    device: torch.device


NO_DATA = "no --data: built-in digits (1,797 images); give --data DIR for yours"


def say_device(device: torch.device, progress: Progress) -> None:
    """Where the arithmetic will run."""
    progress.say(f"device: {describe_device(device)}")


def refuse_taught(loaded: LoadedRecipe) -> None:
    """Raise UsageError for a recipe that needs a teacher, where there is none to have."""
    if needs_teacher(loaded.recipe):
        raise UsageError(
            f"recipe {loaded.name} needs a teacher (scheme {loaded.recipe.scheme.name})",
            "kd distill --teacher ... --student ...; kd train and teacher.recipe take recipes of "
            "scheme alone, such as supervised",
        )


def who_asks(recipe: Recipe, progress: Progress, **flags: Any) -> Who:
    """The recipe's `who:` block with the flags over it, said where they differ."""
    file = recipe.who or Who()
    given = {key: value for key, value in flags.items() if value is not None}
    for key, value in given.items():
        if (was := getattr(file, key)) not in (None, value):
            progress.say(f"--{key} {value} overrides who.{key}: {was} of the recipe")
    return file.model_copy(update=given)


def open_data(
    name: str | None, progress: Progress, *, surveyed: bool = True, balance: str = "none"
) -> tuple[Source, DataRef]:
    """The source and how a run refers to it; what it has to say is said.

    `surveyed`: also what the images are, as a look at each one's header tells. `balance` is the
    recipe's: whoever has set it needs no advice.

    Raises:
        DataError: images that cannot be read, all of them named, among others.
    """
    source = open_source(name, progress)
    if source.is_default:
        progress.say(NO_DATA)
    for note in source.notes:
        progress.say(f"{source.name}: {note}")
    if surveyed:
        _say_survey(survey(source, progress), balance == "none", progress)
    return source, DataRef(name=source.name, location=location(name), identity=source.identity)


def _say_survey(found: Survey, advised: bool, progress: Progress) -> None:
    for line in found.lines():
        progress.say(f"{found.name}: {line}")
    found.refuse_unreadable()
    for line in found.warnings() + (found.advice() if advised else ()):
        progress.warn(f"{found.name}: {line}")


def reopen_data(data: DataRef, progress: Progress) -> Source:
    """The data of an earlier run.

    Raises:
        DataError: they are gone.
        DamagedFile: they are no longer the same.
    """
    if is_gone(data):
        raise DataError(
            f"{data.location}: gone; the run was made with these images", "bring them back"
        )
    source, now = open_data(data.location, progress, surveyed=False)
    if now.identity != data.identity:
        raise DamagedFile(
            f"{data.location}: the images are no longer those that the run was made with",
            "bring them back, or train again on these",
        )
    return replace(
        source,
        train=_of_run(source.train),
        validation=_of_run(source.validation),
        test=_of_run(source.test),
    )


def _of_run(split: Split) -> Split:
    """Without one of its images it would no longer be the run's."""
    return replace(split, way_out=BACK)


def is_gone(data: DataRef) -> bool:
    """Whether the folder that a run was made with is not on this machine."""
    given_as_path = data.location is not None and Path(data.location).is_absolute()
    return given_as_path and not Path(str(data.location)).exists()


def train_spec(
    model: str,
    loaded: LoadedRecipe,
    source: Source,
    data: DataRef,
    seed: int,
    device: torch.device,
    teachers: tuple[TeacherRef, ...] = (),
) -> Spec:
    """Training `model` from labels, or from labels and teachers."""
    taught_by = teachers[0].model if teachers else None
    return Spec(
        role="student" if teachers else "teacher",
        model=model,
        data=data,
        recipe_name=loaded.name,
        recipe=resolve_recipe(loaded.recipe, model, taught_by, source, device),
        seed=seed,
        teachers=teachers,
    )


def distill_spec(
    teacher: str,
    student: str,
    loaded: LoadedRecipe,
    source: Source,
    data: DataRef,
    seed: int,
    device: torch.device,
    *,
    weights: FileRef | None = None,
    labels: tuple[str, ...] | None = None,
    progress: Progress | None = None,
) -> Spec:
    """Distilling `teacher` (a timm name, a run, a model.pt, or given weights) into `student`.

    `weights` are the student's start, `labels` the class names of a teacher's given weights.
    """
    ref = _teacher(teacher, loaded.recipe, source, data, device, labels, progress or Silent())
    spec = train_spec(student, started(loaded, weights), source, data, seed, device, (ref,))
    further = unlabelled_of(loaded.recipe, source, progress or Silent())
    return spec.model_copy(update={"weights": weights, "unlabelled": further})


def baseline_of(spec: Spec) -> Spec:
    """The same student, data, training settings and seed, without a teacher.

    Its task weight is 1: the recipe's own would quietly handicap it. Images without labels are of
    no use to it.
    """
    smoothing, data = spec.recipe.task.label_smoothing, spec.recipe.data
    recipe = spec.recipe.model_copy(
        update={
            "data": data.model_copy(update={"unlabelled": None, "pool": None}),
            "scheme": SchemeUse(name="alone"),
            "task": Task(weight=1.0, label_smoothing=smoothing),
            "methods": {},
            "match": Match(),
        }
    )
    alone = {"role": "baseline", "recipe": recipe, "teachers": (), "unlabelled": None}
    return spec.model_copy(update=alone)


def with_seed(spec: Spec, seed: int) -> Spec:
    """The same training from another seed; its teachers stay."""
    return spec.model_copy(update={"seed": seed})


def _teacher(
    thing: str,
    recipe: Recipe,
    source: Source,
    data: DataRef,
    device: torch.device,
    labels: tuple[str, ...] | None,
    progress: Progress,
) -> TeacherRef:
    if labels and not is_given(thing):
        raise UsageError(
            f"--classes names the classes of foreign weights; {thing} is none",
            "leave --classes out, or give --teacher NAME=FILE",
        )
    if is_given(thing):
        return _foreign_teacher(thing, recipe, source, data, device, labels, progress)
    if is_file(thing):
        return _given_teacher(thing, source)
    return _taught_first(thing, recipe, source, data, device, None)


def _foreign_teacher(
    thing: str,
    recipe: Recipe,
    source: Source,
    data: DataRef,
    device: torch.device,
    labels: tuple[str, ...] | None,
    progress: Progress,
) -> TeacherRef:
    """Finished, where it answers the data's classes; else trained on the data from its weights."""
    given, size = parse(thing, Silent()), recipe.data.image_size  # said before
    wanted = size if isinstance(size, int) else None
    sizes = [size_of(given, wanted)]
    if not (wanted or given.size):  # nobody says what they were trained for
        sizes += {source.defaults.image_size} - set(sizes)
    found = teacher_from(
        given,
        source.classes,
        source.name,
        sizes=tuple(sizes),
        score=lambda read: share_right(read, source, device),
        labels=labels,
        progress=progress,
    )
    if isinstance(found, Path):
        return _given_teacher(str(found), source)
    return _taught_first(given.model, recipe, source, data, device, found)


def _taught_first(
    model: str,
    recipe: Recipe,
    source: Source,
    data: DataRef,
    device: torch.device,
    weights: FileRef | None,
) -> TeacherRef:
    """A teacher that has to be trained, by the recipe that `teacher.recipe` names."""
    settings = recipe.teacher
    loaded = load_recipe(settings.recipe)
    refuse_taught(loaded)
    handed = {
        "student.pretrained": settings.pretrained,
        "student.stem_stride": settings.stem_stride,
        "data.image_size": recipe.data.image_size,  # images have one size in a run
        "train.tune": settings.tune,
    }
    own = started(replace(loaded, recipe=update(loaded.recipe, handed)), weights)
    spec = train_spec(model, own, source, data, settings.seed, device)
    return TeacherRef(model=model, spec=spec.model_copy(update={"weights": weights}))


def _given_teacher(thing: str, source: Source) -> TeacherRef:
    path = locate(thing).model
    args, classes = read_args(path)
    check_classes(classes, source.classes, str(path))
    return TeacherRef(model=args.name, path=str(path.resolve()), sha256=sha256(path))
