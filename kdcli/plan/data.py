"""The data of a job: opened aloud, those without labels too, and what a person should know of them
before anything is trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kdcli.core.progress import Progress
from kdcli.core.text import counted, size_in_words, some
from kdcli.data.augment import MIRRORED
from kdcli.data.decoding import Decoding
from kdcli.data.find_decoding import decoded
from kdcli.data.open import location, open_source
from kdcli.data.order import with_labels
from kdcli.data.photographs import decoded_once, kept_bytes
from kdcli.data.picture_cache import pictures_folder
from kdcli.data.quality.measured_too import measured_too
from kdcli.data.quality.rare_classes import IMBALANCED
from kdcli.data.quality.survey import Survey, survey
from kdcli.data.reopen import learnt_from
from kdcli.data.source import Source
from kdcli.data.subset import labelled, training_split
from kdcli.data.unlabelled import identity_of, known_of, open_unlabelled
from kdcli.evaluation.per_class import imbalance
from kdcli.models.checkpoint import load_model
from kdcli.recipe.data import CROPS, Hidden
from kdcli.recipe.load import LoadedRecipe, learns_without_labels, load_recipe
from kdcli.recipe.schema import Recipe
from kdcli.recipe.teacher import BALANCED, own_recipe
from kdcli.runs.find import spec_beside
from kdcli.runs.spec import RULES, DataRef, Spec, TeacherRef


def with_unlabelled(
    recipe: Recipe, source: Source, progress: Progress
) -> tuple[Source, DataRef | None]:
    """The source with the images of the folder that a recipe names, relative to the working
    directory, and what they are; warns of images in it on which models are measured.

    Raises:
        DataError: no images there, or some that cannot be read.
    """
    if recipe.data.unlabelled is None:
        return source, None
    path = Path(recipe.data.unlabelled).expanduser().resolve()
    split = open_unlabelled(path, progress)
    progress.say(f"data.unlabelled: {counted(len(split), 'image')} in {path}")
    if twice := measured_too(split, source, progress):
        progress.warn(
            f"data.unlabelled: {counted(twice, 'image')} of validation or test in {path}: the "
            "student learns what its teachers say of images that it is measured on"
        )
    ref = DataRef(name=path.name, location=str(path), identity=identity_of(split), rules=RULES)
    return replace(source, unlabelled=decoded(split, source.decoding)), ref


SHOWN = 3
"""Teachers that a message names."""


def say_left(spec: Spec, source: Source, progress: Progress) -> None:
    """How many training images data.hidden and data.subset leave to this training."""
    data, everyone = spec.recipe.data, len(source.train)
    hidden = data.hidden and not learns_without_labels(spec.recipe)
    keys = ["data.hidden"] * bool(hidden) + ["data.subset"] * (data.subset != 1)
    if keys:
        drawn = f" (seed {spec.seed})" if isinstance(data.subset, tuple) else ""
        # of the training images: further ones are none of them
        further = len(source.unlabelled) if spec.unlabelled and source.unlabelled else 0
        left = len(training_split(spec, source)) - further
        progress.say(f"{', '.join(keys)}: {left:,} of {everyone:,} training images{drawn}")
    if data.labelled_share is not None:
        labels = training_split(spec, source).labels
        known = known_of(labels)
        unknown, batch = len(labels) - known, min(int(spec.recipe.train.batch_size), known)
        share = f"{with_labels(batch, data.labelled_share)} of a batch of {batch} have labels"
        progress.say(
            f"data.labelled_share: {known:,} images with labels, {unknown:,} "
            + (f"without; {share}" if unknown else "without: all have labels")
        )
        if not unknown:
            progress.warn(
                "data.labelled_share: there are no images without labels, and so nothing that few "
                "labels gain from: --set data.unlabelled=DIR"
            )


def say_decoded_again(spec: Spec, source: Source, progress: Progress) -> None:
    """Where the cache does not take all photographs that are cropped."""
    split = training_split(spec, source)
    if spec.recipe.data.augment in CROPS and not decoded_once(split, spec.recipe):
        kept = kept_bytes(split, spec.recipe)
        room = f"{size_in_words(kept)} of them, decoded, have" if kept else "none of them has"
        progress.say(
            f"photographs: {room} room in {pictures_folder()}; the others are decoded in each "
            "epoch (KD_CACHE names another disk, KD_CACHE_BYTES another limit)"
        )


def warn_of_seen(
    teachers: Sequence[TeacherRef],
    data: DataRef,
    source: Source,
    hidden: Hidden,
    progress: Progress,
) -> None:
    """Of finished teachers: who has seen labels that data.hidden hides, and who may have.

    The more labels are hidden, the same ones and further ones.
    """
    most = len(labelled(source.train, hidden))

    def knows_more(spec: Spec) -> bool:
        return len(labelled(source.train, spec.recipe.data.hidden)) > most

    given = [ref.path for ref in teachers if ref.path] if hidden else []
    runs = {path: spec_beside(path) for path in given}
    seen = [
        path
        for path, spec in runs.items()
        if spec and spec.data.identity == data.identity and knows_more(spec)
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


def warn_of_measured(
    teachers: Sequence[TeacherRef], data: DataRef, source: Source, progress: Progress
) -> None:
    """Of finished teachers that have learnt from images of validation or test; where nobody can
    look, and the test set was carved out here, that they may have."""
    unknown = []
    for path in (ref.path for ref in teachers if ref.path):
        spec = spec_beside(path)
        if spec and spec.data.identity == data.identity:
            continue
        if (theirs := learnt_from(spec, progress) if spec else None) is None:
            unknown.append(path)
        elif twice := measured_too(theirs, source, progress):
            progress.warn(
                f"teacher {path}: has learnt from {counted(twice, 'image')} of validation or test: "
                "its accuracy there flatters, and so may its student's; measure on images that it "
                "has not seen"
            )
    if unknown and "test" in source.carved:
        progress.say(
            f"teacher {some(unknown, SHOWN)}: nobody can know what it has learnt from: if these "
            "images, then also those of the test set that was carved out here, and its accuracy "
            "flatters; give a test split that it has not seen"
        )


def say_mirrored(spec: Spec, loaded: LoadedRecipe, progress: Progress) -> None:
    """Where images are mirrored that nobody asked to be: the learner's, and those of teachers that
    are to be trained, whom data.augment does not reach."""
    instead = {} if loaded.chosen("data.augment") else MIRRORED
    own = instead.get(str(spec.recipe.data.augment))
    taught = _heads(spec)
    if taught and load_recipe(loaded.recipe.teacher.recipe).chosen("data.augment"):
        taught = []
    theirs = next((m for one in taught if (m := MIRRORED.get(str(one.recipe.data.augment)))), None)
    ways = [f"--set data.augment={own}"] if own else []
    ways += [own_recipe(f"data: {{augment: {theirs}}}")] if theirs else []
    if ways:
        whose = "images" if own else "the teacher's images"
        progress.say(
            f"{whose} are mirrored at random; where left and right differ: "
            f"{', and for the teacher '.join(ways)}"
        )


def warn_of_unbalanced(spec: Spec, source: Source, progress: Progress) -> None:
    """Where a student has rare classes balanced, and a teacher that is to be trained has not."""
    recipe, rare = spec.recipe, imbalance(source.train.labels) > IMBALANCED
    sees_as_many = recipe.teacher.follow == "together" and recipe.train.balance == "sampler"
    if recipe.train.balance == "none" or not rare or sees_as_many:
        return
    names = [one.model for one in _heads(spec) if one.recipe.train.balance == "none"]
    if names:
        progress.warn(
            f"teacher {some(dict.fromkeys(names), SHOWN)}: trained on classes as rare as they are: "
            f"train.balance reaches the student alone; {own_recipe(BALANCED)}"
        )


def _heads(spec: Spec) -> list[Spec]:
    """The teachers at the head of the chain that are trained, from labels, by teacher.recipe."""
    above = [ref.spec for ref in spec.teachers if ref.spec]
    return [one for up in above for one in ([up] if up.role == "teacher" else _heads(up))]


def say_other_decoding(model: Path, source: Source, progress: Progress) -> None:
    """Where a finished teacher's images were decoded by another rule than these are."""
    kept = load_model(model).provenance.get("decoding")
    if kept and (before := Decoding.from_dict(kept)) != source.decoding:
        progress.say(
            f"teacher {model}: its images were decoded by another rule ({before.told}); those of "
            f"{source.name} are by theirs ({source.decoding.told})"
        )


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
