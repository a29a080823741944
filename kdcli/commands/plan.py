"""From what a person asked for to specs: names resolved, every `auto` decided, nothing trained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kdcli.commands.defaults import resolve_recipe
from kdcli.commands.naming import model_name as model_name
from kdcli.data.broken import BACK
from kdcli.data.open import location, open_source
from kdcli.data.source import Source, Split
from kdcli.data.survey import Survey, survey
from kdcli.devices import describe_device
from kdcli.errors import DamagedFile, DataError, UsageError
from kdcli.progress import Progress
from kdcli.recipe import Match, Recipe, SchemeUse, Task
from kdcli.recipe_file import LoadedRecipe, needs_teacher, scheme_of
from kdcli.spec import DataRef, Spec, TeacherRef
from kdcli.who_recipe import Who


@dataclass(frozen=True, eq=False)
class Job:
    """A training that was asked for: what, on which images, where."""

    spec: Spec
    source: Source
    device: torch.device
    seeds: int = 1
    """So many of them, from the spec's own seed on."""

    @property
    def specs(self) -> list[Spec]:
        """One for each seed."""
        return self.spec.alike(self.seeds)


NO_DATA = "no --data: built-in digits (1,797 images); give --data DIR for yours"


def say_device(device: torch.device, progress: Progress) -> None:
    """Where the arithmetic will run."""
    progress.say(f"device: {describe_device(device)}")


def refuse_taught(loaded: LoadedRecipe) -> None:
    """Raise UsageError for a recipe that makes a student, where a model learns from labels."""
    if scheme_of(loaded.recipe).teaches_itself:
        raise UsageError(
            f"recipe {loaded.name} makes a student (scheme {loaded.recipe.scheme.name})",
            f"kd distill --student MODEL --recipe {loaded.name} takes no teacher; kd train and "
            "teacher.recipe take recipes of scheme alone, such as supervised",
        )
    if needs_teacher(loaded.recipe):
        raise UsageError(
            f"recipe {loaded.name} needs a teacher (scheme {loaded.recipe.scheme.name})",
            "kd distill --teacher ... --student ...; kd train and teacher.recipe take recipes of "
            "scheme alone, such as supervised",
        )


def who_asks(recipe: Recipe, progress: Progress, **flags: Any) -> Who:
    """The recipe's `who:` block with the flags over it, said where they differ.

    A flag may be given several times: `teachers=("a", "b")` is --teacher a --teacher b.
    """
    file = recipe.who or Who()
    given = {key: value for key, value in flags.items() if value not in (None, ())}
    for key, value in given.items():
        was = file.taught_by if key == "teachers" else getattr(file, key)
        if was not in (None, (), value):
            of_file = "teacher" if key == "teachers" and file.teacher else key
            progress.say(
                f"{_spelled(key, value)} overrides who.{of_file}: {_shown(was)} of the recipe"
            )
    alone = {"teacher": None} if "teachers" in given else {}
    return file.model_copy(update=given | alone)


def _spelled(key: str, value: Any) -> str:
    each = value if isinstance(value, tuple) else (value,)
    flag = key.removesuffix("s") if isinstance(value, tuple) else key
    return " ".join(f"--{flag} {one}" for one in each)


def _shown(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(one if isinstance(one, str) else one.model for one in value)


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
    taught_by = tuple(teacher.model for teacher in teachers)
    return Spec(
        role="student" if teachers else "teacher",
        model=model,
        data=data,
        recipe_name=loaded.name,
        recipe=resolve_recipe(loaded.recipe, model, taught_by, source, device),
        seed=seed,
        teachers=teachers,
    )


def baseline_of(spec: Spec) -> Spec:
    """The same student, data, training settings and seed, without a teacher.

    Its task weight is 1: the recipe's own would quietly handicap it. That of an assistant is that
    of a student of its model. Images without labels are of no use to it.
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
            "teacher": recipe.teacher.model_copy(update={"follow": "finished"}),
        }
    )
    alone = {"role": "baseline", "recipe": recipe, "teachers": (), "peers": (), "unlabelled": None}
    return spec.model_copy(update=alone | {"keeps": None})
