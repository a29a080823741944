"""Somebody else's weights: NAME=FILE, hf-hub:NAME, local-dir:FOLDER; read, or trained from."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from kdcli.core.class_order import canonical
from kdcli.core.errors import DataError, UsageError
from kdcli.core.files import sha256
from kdcli.core.progress import Progress
from kdcli.models.build import own_size, plan, resolve
from kdcli.models.checkpoint import read_weights
from kdcli.models.foreign import fitting
from kdcli.models.foreign.class_names import Named, choose, names_in
from kdcli.models.foreign.state_dicts import find_states
from kdcli.models.model_args import ModelArgs
from kdcli.models.timm_folder import describe, names_beside
from kdcli.models.weights import fetch
from kdcli.runs.locate import refuse_other
from kdcli.runs.names import slug
from kdcli.runs.spec import FileRef

_SOURCES = ("hf-hub", "hf_hub", "local-dir")
"""As timm spells them."""


@dataclass(frozen=True)
class Given:
    """Weights as a person gave them, and what is told of their model; not read yet."""

    thing: str
    """As spelled, for words."""
    model: str
    """timm's name."""
    file: Path
    size: int | None = None
    """Pixels of a side that they were trained for; None: nobody said."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    """In the classifier's order, where a config.json, its folder's or beside the file, names
    them."""
    licence: str | None = None

    @property
    def stem(self) -> str:
        """What files made of them are called: `best` for best.pth.tar, `name` for a repository."""
        source, colon, place = self.thing.partition(":")
        if colon and source in _SOURCES:
            return slug(Path(place.partition("@")[0]).name)
        return Path(self.file.name.removesuffix(".tar")).stem

    @property
    def origin(self) -> str:
        """Where they came from, as far as it means anything elsewhere: model.pt and the ONNX file
        carry it along, so no folder of this machine is in it."""
        source, colon, place = self.thing.partition(":")
        if not (colon and source in _SOURCES):
            return self.file.name
        return f"local-dir:{Path(place).name}" if source == "local-dir" else self.thing

    @property
    def spelled(self) -> str:
        """The same on the command line, with timm's own name of the model."""
        source, colon, _ = self.thing.partition(":")
        return self.thing if colon and source in _SOURCES else f"{self.model}={self.file}"


# What was given ----------------------------------------------------------------------------------


def is_given(thing: str) -> bool:
    """Whether it is spelled NAME=FILE, hf-hub:NAME or local-dir:FOLDER.

    Not where the whole is a file that is there, nor with a slash in front of the `=`: files and
    folders may be called `lr=0.1`. Whether FILE is there is not asked.
    """
    source, colon, _ = thing.partition(":")
    if colon and source in _SOURCES:
        return True
    name, equals, _ = thing.partition("=")
    return bool(equals) and not Path(thing).exists() and not set(name) & set("/\\")


def parse(thing: str, progress: Progress) -> Given:
    """What such a spelling means; a repository of the Hub is fetched.

    Raises:
        UsageError: no such model, file or folder.
        WeightsUnavailable: the Hub has no such thing, or cannot be reached.
    """
    source, colon, place = thing.partition(":")
    if not (colon and source in _SOURCES):
        return _named(thing, progress)
    if not place:
        raise UsageError(f"{thing}: names nothing", "hf-hub:ORGANISATION/NAME, local-dir:FOLDER")
    folder = Path(place).expanduser() if source == "local-dir" else fetch(place)
    told = describe(folder, thing)
    return Given(
        thing,
        told.model,
        told.file,
        size=told.size,
        mean=told.mean,
        std=told.std,
        options=told.options,
        classes=told.classes,
        licence=told.licence,
    )


def _named(thing: str, progress: Progress) -> Given:
    name, _, path = thing.partition("=")
    if not name or not path:
        lacking = "model before" if not name else "file behind"
        raise UsageError(f"{thing}: no {lacking} the '='", "as in resnet101=weights.pth")
    resolved = resolve(name)
    if resolved.said:
        progress.say(resolved.said)
    file = Path(path).expanduser()
    if not file.is_file():
        kind = "a folder; give local-dir:FOLDER" if file.is_dir() else "no such file"
        raise UsageError(f"{thing}: {file} is {kind}", "give the path of the file behind NAME=")
    refuse_other(file)
    return Given(thing, resolved.name, file, classes=names_beside(file))


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names, one a line.

    Raises:
        UsageError: there is no such file.
        DataError: not UTF-8, an empty name between others, a name twice, or fewer than two.
    """
    try:
        text = path.read_text("utf-8-sig")  # Windows' editors begin with a mark
        lines = canonical(text.rstrip().split("\n")) if text.strip() else ()
    except UnicodeDecodeError as error:
        raise DataError(f"--classes {path}: not UTF-8 text", "save it as UTF-8") from error
    except OSError as error:
        raise UsageError(
            f"--classes {path}: {error.strerror}", "a text file, one class name a line"
        ) from error
    wrong = next((i for i, n in enumerate(lines) if not n or n in lines[:i]), None)
    if wrong is not None:
        kind = f"'{lines[wrong]}' stands there twice" if lines[wrong] else "an empty line"
        raise DataError(f"--classes {path}: line {wrong + 1}: {kind}", "one class name a line")
    if len(lines) < 2:
        raise DataError(
            f"--classes {path}: {len(lines)} names", "a classifier has two classes or more"
        )
    return lines


# Reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Read:
    """Given weights, read and fitted to their model."""

    args: ModelArgs
    """For as many classes as they answer; 0: they have no classifier."""
    fitted: fitting.Fitted
    named: tuple[Named, ...] = ()
    """What file and config.json call its classes; one list each, of as many as it answers."""


def read(given: Given, size: int, progress: Progress) -> Read:
    """The weights as the model has them that they are said to be of, fed with `size` pixels.

    Raises:
        DamagedFile: no file of weights, or one that holds code.
        UsageError: the weights of another model.
    """
    args = plan(given.model, 2, size, None, given.options)  # any number: the weights say theirs
    raw = read_weights(given.file)
    fitted = _fitted(raw, given.file, args, progress)
    mean, std = args.mean, args.std
    if given.mean and given.std:
        mean, std = given.mean, given.std
    elif fitted.normalisation not in (None, (mean, std)):
        mean, std = fitted.normalisation or (mean, std)
        progress.say(f"{given.file}: images normalised as it says, mean {mean}, std {std}")
    args = replace(args, mean=mean, std=std, num_classes=fitted.num_classes)
    return Read(args, fitted, _named_in(given, raw, fitted.num_classes))


def _named_in(given: Given | None, raw: Any, count: int) -> tuple[Named, ...]:
    """What config.json and file say, as the data's classes are written."""
    said = given.classes if given and given.classes and len(given.classes) == count else None
    found = (*([("config.json", said)] if said else ()), *names_in(raw, count))
    lists: dict[tuple[str, ...], str] = {}
    for where, names in found:
        lists.setdefault(canonical(names), where)
    return tuple((where, names) for names, where in lists.items())


def _fitted(raw: Any, file: Path, args: ModelArgs, progress: Progress) -> fitting.Fitted:
    fitted = fitting.fit(find_states(raw, str(file)), args, str(file))
    if fitted.notes:
        progress.say(f"{file}: {'; '.join(fitted.notes)}")
    return fitted


def size_of(given: Given, wanted: int | None) -> int:
    """Pixels of a side: as wanted, as config.json says, as timm has it for the model's name."""
    return wanted or given.size or own_size(given.model)


# A start ------------------------------------------------------------------------------------------


def start_from(given: Given) -> FileRef:
    """The weights as a training's start: by their sha256, so that another file under the same name
    is another run."""
    return FileRef(
        path=str(given.file.resolve()),
        sha256=sha256(given.file),
        options=given.options,
        mean=given.mean,
        std=given.std,
        origin=given.origin,
        licence=given.licence,
    )


def start_args(args: ModelArgs, weights: FileRef) -> ModelArgs:
    """The model as its start was normalised: images must reach a trunk as they did when it learnt,
    whatever timm has for its name."""
    return replace(args, mean=weights.mean or args.mean, std=weights.std or args.std)


def begin(
    module: nn.Module,
    args: ModelArgs,
    weights: FileRef,
    classes: tuple[str, ...],
    progress: Progress,
) -> None:
    """Give a module its start; a classifier of other classes stays as it is, fresh, and one of the
    data's `classes` in another order is put in theirs, where the file names its own.

    Student and baseline are given the same, so that their comparison stays fair.

    Raises:
        DamagedFile: the file is damaged, not finite, or holds code.
        UsageError: the weights of another model, or several copies, which are to differ from the
            first step on.
    """
    path = Path(weights.path)
    if args.copies > 1:
        raise UsageError(
            f"{args.copies} x {args.name} begin with weights of their own; {path} is one start",
            "name the model without a file",
        )
    raw = read_weights(path)
    fitted = _fitted(raw, path, args.single, progress)
    named = choose(_named_in(None, raw, fitted.num_classes), classes, str(path))
    state, kept = fitted.state, "its classifier is kept"
    if named and set(named[1]) == set(classes) and named[1] != classes:
        order = [named[1].index(name) for name in classes]
        state = fitting.reordered(fitted, args.single, order)
        kept = f"its classifier is kept, in the order of the data's classes ({named[0]} says its)"
    elif named and set(named[1]) != set(classes):
        state = fitting.headless(fitted, args.single)
    fresh = fitting.start(module, state)
    what = "its classifier is made anew" if fresh else kept
    if fresh and fitted.num_classes not in (0, args.num_classes):
        what = (
            f"it answers {fitted.num_classes:,} classes, the data have {args.num_classes:,}: {what}"
        )
    elif fresh and named and fitted.num_classes:
        what = f"by its {named[0]} it answers other classes: {what}"
    progress.say(f"{args.name} starts from {path}; {what}")
