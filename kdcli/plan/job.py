"""From what a person asked for to specs: names resolved, every `auto` decided, nothing trained."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress, Silent
from kdcli.data.source import Source
from kdcli.plan.data import open_data, with_unlabelled
from kdcli.plan.defaults import resolve_recipe
from kdcli.recipe.edit import dump, get, update
from kdcli.recipe.load import LoadedRecipe, needs_teacher, scheme_of
from kdcli.runs.spec import DataRef, Spec, TeacherRef
from kdcli.training.devices import describe_device, open_device
from kdcli.training.site import Site
from kdcli.training.threads import Choose, nobody_knows


@dataclass(frozen=True, eq=False)
class Job:
    """A training that was asked for: what, on which images, where."""

    spec: Spec
    source: Source
    device: torch.device
    seeds: int = 1
    """So many of them, from the spec's own seed on."""
    asked: bool = True
    """A person wants this very training; False: another one needs it."""

    def site(self, progress: Progress, threads: Choose = nobody_knows) -> Site:
        """Where its trainings happen; images are opened once for all of them."""
        return Site(self.source, self.device, progress, threads, students=self.seeds)

    @property
    def specs(self) -> list[Spec]:
        """One for each seed; their teachers are the same, as comparisons need it."""
        return self.spec.alike(self.seeds)


@dataclass(frozen=True, eq=False)
class Shared:
    """What all trainings of a job have in common while they are planned; the recipe still has its
    `auto`s, which mean something else for each model."""

    loaded: LoadedRecipe
    source: Source
    data: DataRef
    device: torch.device
    progress: Progress = field(default_factory=Silent)
    labels: tuple[str, ...] | None = None
    """The class names of foreign weights."""
    unlabelled: DataRef | None = None


def open_shared(loaded: LoadedRecipe, data: str | None, device: str, progress: Progress) -> Shared:
    """Device and data, opened aloud; a device that is not there is told before the data are read.

    Raises:
        MissingDevice: there is no such device.
        DataError: images that cannot be read, all of them named, among others.
    """
    place = open_device(device)
    source, ref = open_data(data, progress, balance=loaded.recipe.train.balance)
    source, further = with_unlabelled(loaded.recipe, source, progress)
    progress.say(f"device: {describe_device(place)}")
    return Shared(loaded, source, ref, place, progress, unlabelled=further)


Open = Callable[[LoadedRecipe, str | None, str, Progress], Shared]
"""`open_shared`, or what does as much."""


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


SAME = {
    "teacher.pretrained": "student.pretrained",
    "teacher.stem_stride": "student.stem_stride",
    "teacher.tune": "train.tune",
    "teacher.subset": "data.subset",
}
"""What a recipe says of a teacher that is trained for a student: of one that is trained by itself.
"""


def trained_alone(loaded: LoadedRecipe) -> LoadedRecipe:
    """The recipe of `kd train`, where `teacher.pretrained` and the like mean the model itself.

    Raises:
        UsageError: one of them and its counterpart differ, or a setting is of a teacher that there
            is none of here.
    """
    said = [key for key in loaded.origins if key.startswith("teacher.")]
    raw, changes = dump(loaded.recipe), {}
    for key in said:
        own, value = SAME.get(key), get(raw, key)
        own = None if value == "none" else own  # teacher.tune: nobody would learn
        if own in loaded.origins and get(raw, own) != value:
            raise UsageError(
                f"{key}={value} and {own}={get(raw, own)}: in kd train they are one",
                f"leave {key} out",
            )
        if own:
            changes[own] = value
        elif loaded.origin(key) == "--set":
            there = {"teacher.seed": "--seed", "teacher.seeds": "--seeds"}.get(key, "--recipe")
            raise UsageError(
                f"--set {key}: kd train has no teacher beside the model itself",
                f"{there} says it here, or kd distill takes it",
            )
    return replace(loaded, recipe=update(loaded.recipe, changes)) if changes else loaded


def train_spec(
    model: str, shared: Shared, seed: int = 0, teachers: tuple[TeacherRef, ...] = ()
) -> Spec:
    """Training `model` from labels, or from labels and teachers; every `auto` is decided here.

    Raises:
        DataError: it takes images of no size that we know of.
    """
    loaded, source = shared.loaded, shared.source
    taught_by = tuple(teacher.model for teacher in teachers)
    return Spec(
        role="student" if teachers else "teacher",
        model=model,
        data=shared.data,
        recipe_name=loaded.name,
        recipe=resolve_recipe(loaded.recipe, model, taught_by, source, shared.device),
        seed=seed,
        teachers=teachers,
    )
