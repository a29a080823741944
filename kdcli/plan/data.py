"""The data of a job: opened aloud, those without labels too, and what a person should know of them
before anything is trained."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kdcli.core.errors import KdError
from kdcli.core.progress import Progress
from kdcli.core.text import counted, some
from kdcli.data.decoding import Decoding
from kdcli.data.duplicates import same_images
from kdcli.data.near_doubles import near_doubles
from kdcli.data.open import location, open_source
from kdcli.data.source import Source, Split
from kdcli.data.subset import training_split
from kdcli.data.survey import Survey, survey
from kdcli.data.unlabelled import identity_of, open_unlabelled
from kdcli.models.checkpoint import load_model
from kdcli.recipe.load import scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.runs.run import Run
from kdcli.runs.spec import RULES, DataRef, Spec, TeacherRef


def unlabelled_of(recipe: Recipe, source: Source, progress: Progress) -> DataRef | None:
    """The folder that a recipe names, relative to the working directory; warns of images in it on
    which models are measured.

    Raises:
        DataError: no images there, or some that cannot be read.
    """
    if recipe.data.unlabelled is None:
        return None
    path = Path(recipe.data.unlabelled).expanduser().resolve()
    split = open_unlabelled(path, progress)
    progress.say(f"data.unlabelled: {counted(len(split), 'image')} in {path}")
    if twice := measured_too(split, source, progress):
        progress.warn(
            f"data.unlabelled: {counted(twice, 'image')} of validation or test in {path}: the "
            "student learns what its teachers say of images that it is measured on"
        )
    return DataRef(name=path.name, location=str(path), identity=identity_of(split), rules=RULES)


def measured_too(split: Split, source: Source, progress: Progress) -> int:
    """How many images of validation and test are among these, by content, or as nearly the same
    picture: names tell nothing."""
    splits = {"unlabelled": split, "validation": source.validation, "test": source.test}
    same = [places for places in same_images(splits) if places[0].split == "unlabelled"]
    near = near_doubles(splits, f"{source.name} unlabelled", progress)
    near_by = [pair for pair in near if pair[0].split == "unlabelled"]
    found = {place for places in (*same, *near_by) for place in places}
    return sum(place.split != "unlabelled" for place in found)


SHOWN = 3
"""Teachers that a message names."""


def say_left(spec: Spec, source: Source, progress: Progress) -> None:
    """How many training images data.hidden and data.subset leave to this training."""
    data, everyone = spec.recipe.data, len(source.train)
    hidden = data.hidden and not scheme_of(spec.recipe).labelled_by_teachers
    keys = ["data.hidden"] * bool(hidden) + ["data.subset"] * (data.subset != 1)
    if keys:
        drawn = f" (seed {spec.seed})" if isinstance(data.subset, tuple) else ""
        left = len(training_split(spec, source))
        progress.say(f"{', '.join(keys)}: {left:,} of {everyone:,} training images{drawn}")


def warn_of_seen(
    teachers: Sequence[TeacherRef], data: DataRef, hidden: float, progress: Progress
) -> None:
    """Of finished teachers: who has seen labels that data.hidden hides, and who may have.

    The labels that are hidden depend on the share alone: a smaller one hides some of the same.
    """
    given = [ref.path for ref in teachers if ref.path] if hidden else []
    runs = {path: _spec_beside(path) for path in given}
    seen = [
        path
        for path, spec in runs.items()
        if spec and spec.data.identity == data.identity and spec.recipe.data.hidden < hidden
    ]
    unknown = [path for path, spec in runs.items() if spec is None]
    if seen:
        progress.warn(
            f"teacher {some(seen, SHOWN)}: has seen labels that data.hidden hides from the student"
        )
    if unknown:
        progress.say(
            f"teacher {some(unknown, SHOWN)}: nobody can know whether it has seen labels that "
            "data.hidden hides from the student"
        )


def say_other_decoding(model: Path, source: Source, progress: Progress) -> None:
    """Where a finished teacher's images were decoded by another rule than these are."""
    kept = load_model(model).provenance.get("decoding")
    if kept and (before := Decoding.from_dict(kept)) != source.decoding:
        progress.say(
            f"teacher {model}: its images were decoded by another rule ({before.told}); those of "
            f"{source.name} are by theirs ({source.decoding.told})"
        )


def _spec_beside(model: str) -> Spec | None:
    """What made it; None where no run.yaml lies beside it that could tell (others' files)."""
    with suppress(KdError):
        return Run(Path(model).parent).spec
    return None


NO_DATA = "no --data: built-in digits (1,797 images); give --data DIR for yours"


def open_data(
    name: str | None, progress: Progress, *, surveyed: bool = True, balance: str = "none"
) -> tuple[Source, DataRef]:
    """The source and how a run refers to it: by its identity, so that a copy elsewhere finds the
    same runs; what it has to say is said.

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
    return source, DataRef(
        name=source.name, location=location(name), identity=source.identity, rules=RULES
    )


def _say_survey(found: Survey, advised: bool, progress: Progress) -> None:
    for line in found.lines():
        progress.say(f"{found.name}: {line}")
    found.refuse_unreadable()  # behind what the data are, before advice that would come to nothing
    for line in found.warnings() + (found.advice() if advised else ()):
        progress.warn(f"{found.name}: {line}")
