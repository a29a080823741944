"""From what a person asked for to specs: names resolved, every `auto` decided, nothing trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kdcli import catalog
from kdcli.commands.loading import read_args
from kdcli.cost import parameters
from kdcli.data.open import location, open_source
from kdcli.data.source import Source
from kdcli.data.survey import Survey, survey
from kdcli.errors import DamagedFile, DataError, UnfitTeacher, UsageError
from kdcli.files import sha256
from kdcli.models.build import build_meta, plan, resolve, resolve_precision
from kdcli.models.weights import has_weights
from kdcli.progress import Progress
from kdcli.recipe import Match, Recipe, SchemeUse, Task, Who, fill_auto, update
from kdcli.recipe_file import LoadedRecipe, load_recipe
from kdcli.runs import locate
from kdcli.spec import DataRef, Spec, TeacherRef

NO_DATA = "no --data: built-in digits (1,797 images); give --data DIR for yours"


def model_name(name: str, progress: Progress) -> str:
    """A timm name; families are narrowed down aloud."""
    resolved = resolve(name)
    if resolved.said:
        progress.say(resolved.said)
    return resolved.name


def teacher_name(thing: str, progress: Progress) -> str:
    """What `--teacher` means: the path of a model.pt (of a run, or given), or timm's name."""
    if not _is_file(thing):
        return model_name(thing, progress)
    located = locate(thing)
    if located.said:
        progress.say(located.said)
    return str(located.model)


def _is_file(teacher: str) -> bool:
    return Path(teacher).exists() or teacher.endswith(".pt")


def refuse_taught(loaded: LoadedRecipe) -> None:
    """Raise UsageError for a recipe that needs a teacher, where there is none to have."""
    if catalog.load("schemes", loaded.recipe.scheme.name).needs_teacher:
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
    name: str | None, progress: Progress, *, surveyed: bool = True
) -> tuple[Source, DataRef]:
    """The source and how a run refers to it; what it has to say is said.

    `surveyed`: also what the images are, as a look at each one's header tells.

    Raises:
        DataError: images that cannot be read, all of them named, among others.
    """
    source = open_source(name, progress)
    if source.is_default:
        progress.say(NO_DATA)
    for note in source.notes:
        progress.say(f"{source.name}: {note}")
    if surveyed:
        _say_survey(survey(source, progress), progress)
    return source, DataRef(name=source.name, location=location(name), identity=source.identity)


def _say_survey(found: Survey, progress: Progress) -> None:
    for line in found.lines():
        progress.say(f"{found.name}: {line}")
    found.refuse_unreadable()
    for line in found.warnings():
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
    return source


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
) -> Spec:
    """Distilling `teacher` (a timm name, a run, or a model.pt) into `student`."""
    ref = _teacher(teacher, loaded.recipe, source, data, device)
    return train_spec(student, loaded, source, data, seed, device, (ref,))


def baseline_of(spec: Spec) -> Spec:
    """The same student, data, training settings and seed, without a teacher.

    Its task weight is 1: the recipe's own would quietly handicap it.
    """
    smoothing = spec.recipe.task.label_smoothing
    recipe = spec.recipe.model_copy(
        update={
            "scheme": SchemeUse(name="alone"),
            "task": Task(weight=1.0, label_smoothing=smoothing),
            "methods": {},
            "match": Match(),
        }
    )
    return spec.model_copy(update={"role": "baseline", "recipe": recipe, "teachers": ()})


def with_seed(spec: Spec, seed: int) -> Spec:
    """The same training from another seed; its teachers stay."""
    return spec.model_copy(update={"seed": seed})


def resolve_recipe(
    recipe: Recipe, model: str, teacher: str | None, source: Source, device: torch.device
) -> Recipe:
    """The recipe without any `auto`: the source, the models and the device decide."""
    return fill_auto(recipe, auto_values(model, teacher, source, device))


def auto_values(
    model: str, teacher: str | None, source: Source, device: torch.device
) -> dict[str, Any]:
    """What `auto` means for this model on these data, by the recipe's keys."""
    defaults, classes = source.defaults, len(source.classes)
    meta = build_meta(plan(model, classes, defaults.image_size, None))
    schedule = defaults.schedule(parameters(meta))
    values: dict[str, Any] = {
        "data.image_size": defaults.image_size,
        "data.augment": defaults.augment,
        "train.epochs": schedule.epochs,
        "train.batch_size": schedule.batch_size,
        "train.lr": schedule.lr,
        "train.patience": schedule.patience,
        "student.pretrained": defaults.pretrained and has_weights(model),
        "student.precision": resolve_precision("auto", meta, device),
        "teacher.pretrained": False,
        "teacher.precision": "fp32",
    }
    if teacher is not None:
        meta = build_meta(plan(teacher, classes, defaults.image_size, None))
        values["teacher.pretrained"] = defaults.pretrained and has_weights(teacher)
        values["teacher.precision"] = resolve_precision("auto", meta, device)
    return values


def _teacher(
    thing: str,
    recipe: Recipe,
    source: Source,
    data: DataRef,
    device: torch.device,
) -> TeacherRef:
    if _is_file(thing):
        return _given_teacher(thing, source)
    settings = recipe.teacher
    loaded = load_recipe(settings.recipe)
    refuse_taught(loaded)
    handed = {
        "student.pretrained": settings.pretrained,
        "student.stem_stride": settings.stem_stride,
        "data.image_size": recipe.data.image_size,  # images have one size in a run
    }
    own = replace(loaded, recipe=update(loaded.recipe, handed))
    spec = train_spec(thing, own, source, data, settings.seed, device)
    return TeacherRef(model=thing, spec=spec)


def _given_teacher(thing: str, source: Source) -> TeacherRef:
    path = locate(thing).model
    args, classes = read_args(path)
    check_classes(classes, source.classes, str(path))
    return TeacherRef(model=args.name, path=str(path.resolve()), sha256=sha256(path))


def check_classes(teacher: tuple[str, ...], data: tuple[str, ...], where: str) -> None:
    """Names first, then count: a head that means other classes would teach nonsense.

    Raises:
        UnfitTeacher: they differ.
    """
    if teacher == data:
        return
    if len(teacher) != len(data):
        what = f"it knows {len(teacher)} classes, the data have {len(data)}"
    elif set(teacher) == set(data):
        what = "it knows the same classes in another order"
    else:
        i = next(i for i, (a, b) in enumerate(zip(teacher, data, strict=True)) if a != b)
        what = f"its class {i} is '{teacher[i]}', that of the data is '{data[i]}'"
    raise UnfitTeacher(
        f"teacher {where} does not fit the data: {what}",
        "give a teacher of these classes, or a model's name to have one trained",
    )
