"""From what a person asked for to specs: names resolved, every `auto` decided, nothing trained."""

from dataclasses import dataclass
from typing import Any

import torch

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress
from kdcli.data.source import Source
from kdcli.plan.defaults import resolve_recipe
from kdcli.plan.names import model_name as model_name
from kdcli.recipe.load import LoadedRecipe, needs_teacher, scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.recipe.who import Who
from kdcli.runs.spec import DataRef, Spec, TeacherRef
from kdcli.training.devices import describe_device


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
