"""A finished foreign model becomes an ordinary model.pt, once; a given teacher from then on."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kdcli.core.class_order import places_in
from kdcli.core.errors import UsageError
from kdcli.core.files import sha256
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import cut
from kdcli.models.checkpoint import ModelFile, Weights, save_model
from kdcli.models.foreign import fitting
from kdcli.models.foreign.class_names import choose
from kdcli.models.given import Given, Read, read, size_of, start_from
from kdcli.models.model_args import ModelArgs
from kdcli.models.reordered import OTHER_CLASSES
from kdcli.runs.find import runs_root
from kdcli.runs.names import LONGEST, folder_name, slug
from kdcli.runs.spec import DataRef, FileRef
from kdcli.runs.versions import versions

Score = Callable[..., float]
"""(read, named) -> a share of some images of the data in [0, 1]: those that the weights get right;
where nobody has named their classes, those they would, were these called what suits them best."""
_SHOWN = 6
"""Class names that a message spells out."""


def teacher_from(
    given: Given,
    classes: tuple[str, ...],
    data: DataRef,
    *,
    sizes: tuple[int, ...],
    score: Score,
    labels: tuple[str, ...] | None = None,
    progress: Progress,
) -> Path | FileRef:
    """A finished teacher's model.pt, or a start where the weights answer other classes.

    `classes` and `data` are those of the data; `labels` the names that --classes gives. Of several
    `sizes` (pixels of a side) the one with the best `score` is taken: a share of images that it
    gets right, in [0, 1].

    Raises:
        DamagedFile: the file is damaged, not finite, or holds code.
        UnfitTeacher: the names that are known of its classes are not those of the data.
        UsageError: the weights of another model, or `labels` are fewer or more than its classes.
    """
    told = labels or given.classes
    place = place_of(given, classes, data, sizes, told)
    if place.is_file():  # its name holds all that decides its content: nothing is read again
        by = ", its classes by --classes" if labels else ""
        progress.say(f"{given.thing}: adopted before as {place}{by}")
        return place
    found = read(given, sizes[0], progress)
    answered = found.args.num_classes
    if labels:
        _refuse_count(given, labels, answered)
        progress.say(f"{given.file}: its classes by --classes: {listed(labels)}")
    elif answered != len(classes):
        progress.say(f"{_answers(given, answered, len(classes))}: a start; {_ANEW} on the data")
        return start_from(given)
    best = _fit_to(found, given, classes, sizes, score, labels, progress)
    said = " (--set data.image_size=N says otherwise)" if len(sizes) > 1 else ""
    progress.say(f"{given.thing}: fed {best.args.input_size} pixels{said}; adopted as {place}")
    adopt(given, best, classes, place)
    return place


def shown(
    given: Given,
    folder: Path,
    classes: tuple[str, ...],
    *,
    sizes: tuple[int, ...],
    score: Score,
    labels: tuple[str, ...] | None,
    progress: Progress,
) -> Path | None:
    """The model.pt in `folder` that `teacher_from` would make, as whoever only looks needs it; None
    where the weights answer another number of classes.

    Raises: what `teacher_from` does.
    """
    found = read(given, sizes[0], progress)
    if labels:
        _refuse_count(given, labels, found.args.num_classes)
    if found.args.num_classes != len(classes):
        return None
    best = _fit_to(found, given, classes, sizes, score, labels, progress)
    adopt(given, best, classes, folder / "model.pt")
    return folder / "model.pt"


def _fit_to(
    found: Read,
    given: Given,
    classes: tuple[str, ...],
    sizes: tuple[int, ...],
    score: Score,
    labels: tuple[str, ...] | None,
    progress: Progress,
) -> Read:
    """As it answers the data's classes, in their order, fed the size that it knows best."""
    names = labels or _names(found, classes, given, progress)
    if names is None:
        progress.say(
            f"{given.file} names no classes: taken to be the data's, in order: {listed(classes)} "
            "(--classes FILE says otherwise)"
        )
    # read anew for each size: a ViT's position embedding is converted to it; said once is enough
    others = [read(given, size, Silent()) for size in sizes[1:]]
    if names and names != classes:
        progress.say(f"{given.file}: its answers are put in the data's order")
    tried = [_in_order(one, names or classes, classes, given) for one in (found, *others)]
    if len(tried) == 1:
        return tried[0]
    return _best(tried, score, given, names is not None, progress)


def _names(
    found: Read, classes: tuple[str, ...] | None, given: Given, progress: Progress
) -> tuple[str, ...] | None:
    """What file or config.json call its classes, and where it says so."""
    if (chosen := choose(found.named, classes, str(given.file))) is None:
        return None
    progress.say(f"{given.file}: its classes by its {chosen[0]}: {listed(chosen[1])}")
    return chosen[1]


def _best(
    tried: list[Read],
    score: Score,
    given: Given,
    named: bool,
    progress: Progress,
) -> Read:
    """The one with the best score, said with the others; of equals the last, the data's own size.

    Many CNNs answer at any size, only worse: nothing but trying tells which one they know.
    """
    scores = [score(one, named=named) for one in tried]
    found = (f"{s:.0%} at {one.args.input_size}" for s, one in zip(scores, tried, strict=True))
    progress.say(
        f"{given.file} says no image size; tried on some validation images, it "
        f"{'gets right' if named else 'tells apart'} {', '.join(found)} pixels"
    )
    return tried[max(range(len(tried)), key=lambda i: (scores[i], i))]


def alone(
    given: Given, folder: Path, size: int | None, labels: tuple[str, ...] | None, progress: Progress
) -> Path:
    """A model.pt of given weights in `folder`, named after them, without any data.

    Raises:
        UsageError: they have no classifier, or other than len(labels) classes.
    """
    found = read(given, size_of(given, size), progress)
    count = found.args.num_classes
    if count == 0:
        raise UsageError(
            f"{given.file}: has no classifier, it answers nothing",
            f"train one first: kd train {given.model}={given.file} --data DIR",
        )
    names = own_names(found, given, labels, progress)
    if names is None:
        names = numbered(found)
        progress.say(
            f"{given.file} names no classes: they are called 0 to {count - 1} "
            "(--classes FILE names them)"
        )
    place = folder / f"{cut(given.stem, LONGEST - len('.kd.pt'))}.kd.pt"
    progress.say(
        f"{given.thing}: fed {found.args.input_size} pixels (--size N says otherwise); "
        f"adopted as {place}"
    )
    adopt(given, found, names, place)
    return place


def own_names(
    found: Read, given: Given, labels: tuple[str, ...] | None, progress: Progress
) -> tuple[str, ...] | None:
    """What the classes of weights are called, whatever those of any data are: by --classes, or by
    their own file; None: nobody names them.

    Raises:
        UsageError: other than len(labels) classes.
    """
    if labels:
        _refuse_count(given, labels, found.args.num_classes)
    return labels or _names(found, None, given, progress)


def numbered(found: Read) -> tuple[str, ...]:
    """What classes that nobody names are called."""
    return tuple(map(str, range(found.args.num_classes)))


_ANEW = "its classifier is made anew and the model is trained"


def _answers(given: Given, answered: int, wanted: int) -> str:
    if answered == 0:
        return f"{given.file} has no classifier"
    return f"{given.file} answers {answered:,} classes, the data have {wanted:,}"


def _refuse_count(given: Given, labels: tuple[str, ...], answered: int) -> None:
    if len(labels) != answered:
        raise UsageError(
            f"--classes names {len(labels):,} classes, {given.file} answers {answered:,}",
            "one name a line, in the order of its classifier; without --classes, weights of "
            "another number of classes than the data's are a start",
        )


def _in_order(found: Read, names: tuple[str, ...], classes: tuple[str, ...], given: Given) -> Read:
    """The same weights with the classifier's answers in the order of the data's classes."""
    if (order := places_in(names, classes, f"teacher {given.file}", OTHER_CLASSES)) is None:
        return found
    state = fitting.reordered(found.fitted, found.args, order)
    return replace(found, fitted=replace(found.fitted, state=state))


def listed(names: tuple[str, ...]) -> str:
    """The first of them, for words."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def place_of(
    given: Given,
    classes: tuple[str, ...],
    data: DataRef,
    sizes: tuple[int, ...],
    names: tuple[str, ...] | None,
) -> Path:
    """In `given-resnet101-photos-1a2b3c4d`: the same weights, told the same, are found again; of
    other images another, since they choose among several sizes."""
    told = [given.model, classes, names, sizes, given.mean, given.std, given.options]
    chosen_on = data.deciding if len(sizes) > 1 else {"rules": data.rules}
    text = json.dumps([sha256(given.file), *told, chosen_on], ensure_ascii=False, sort_keys=True)
    return in_folder(given.model, data, text)


def in_folder(model: str, data: DataRef, told: str) -> Path:
    """The model.pt of an adopted model, below the runs; `told` is all that decides its content."""
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    name = folder_name(["given", slug(model), slug(data.name), digest])
    return runs_root() / name / "model.pt"


def adopt(given: Given, found: Read, classes: tuple[str, ...], place: Path) -> None:
    """Write the model.pt of given weights."""
    told = {"given": given.origin, "sha256": sha256(given.file), "licence": given.licence}
    write(found.args, found.fitted.state, classes, told, place)


def write(
    args: ModelArgs,
    state: Weights,
    classes: tuple[str, ...],
    told: dict[str, str | None],
    place: Path,
) -> None:
    """Write the model.pt, with what is `told` of where it is from; the same weights give the same
    bytes, wherever they lay.

    A student's digest counts a given teacher by the sha256 of this file: with a path, a date or the
    data's name in it, weights that are adopted a second time would make every student of theirs a
    new run. (Other versions of torch or timm, which are recorded, do.)
    """
    provenance = {"role": "given", **told, "versions": versions()}
    save_model(ModelFile(args.as_dict(), state, classes, {}, provenance), place)
