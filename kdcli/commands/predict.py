"""`kd predict`: an exported file's classes of images. Only onnxruntime runs; torch stays out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from shlex import quote

import numpy as np

from kdcli.core.arrays import Pixels
from kdcli.core.errors import DamagedFile, DataError, UsageError
from kdcli.core.progress import Progress
from kdcli.core.text import counted, shown
from kdcli.data.decoding import Decoding
from kdcli.data.image_files import is_image_name
from kdcli.data.images import read_image
from kdcli.data.sources.tree import images_below
from kdcli.deploy.onnx_file.feeding import Feeding, feeding_of
from kdcli.deploy.onnx_file.read import EXPORT_AGAIN
from kdcli.deploy.onnx_file.session import Session, open_session
from kdcli.deploy.recorded_sums import refuse_changed_export
from kdcli.runs.layout import EXPORTS

TOP = 5
"""Classes per image, where nobody says how many."""
OF_PYTORCH = (".pt", ".pth", ".safetensors", ".ckpt", ".bin")
"""Endings of files that onnxruntime does not run."""
Read = tuple[str, Pixels]
"""An image and its name."""


@dataclass(frozen=True)
class Guess:
    """A class and how likely the model finds it."""

    name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What the model sees in one image, the likeliest class first."""

    image: str
    top: tuple[Guess, ...]


@dataclass(frozen=True)
class Predicted:
    """The answers, in the order of the images, and what could not be answered."""

    model: Path
    predictions: list[Prediction]
    skipped: dict[str, str]
    """Image, or name that matches nothing -> what is wrong."""
    top: int | None = None
    """How many classes per image were asked for, where that was said."""

    @property
    def failure(self) -> DataError | None:
        """Told once all other images have been answered."""
        if not self.skipped:
            return None
        asked = counted(len(self.skipped) + len(self.predictions), "image")
        return DataError(
            f"{len(self.skipped)} of {asked} not readable: {', '.join(map(shown, self.skipped))}",
            "repair or leave out what was named; all others are answered",
        )


def predict(
    model: str,
    images: Sequence[str],
    *,
    top: int | None = None,
    threads: int | None = None,
    progress: Progress,
) -> Predicted:
    """The classes of images: files, folders, patterns.

    Raises:
        UsageError: no such model or image, or no file that kd exported.
        DamagedFile: the file cannot be run, or is not the one that its run's record tells of.
    """
    file = model_file(model, progress)
    paths, skipped = image_files(images)
    for missing in skipped.values():
        progress.warn(missing)
    feeding = feeding_of(file)
    refuse_changed_export(file)
    session = open_session(file, threads or 0)  # 0: onnxruntime takes all cores
    readable = _readable(paths, feeding.decoding, skipped, progress)
    predictions: list[Prediction] = []
    while part := list(islice(readable, feeding.together)):
        predictions += _answers(file, session, feeding, part, top or TOP)
    return Predicted(file, predictions, skipped, top)


def model_file(model: str, progress: Progress) -> Path:
    """The ONNX file that was meant; of a run or a folder its fp32 file, said aloud.

    Raises:
        UsageError: there is none, or it is something else.
    """
    path = Path(model)
    command = f"kd export {quote(model)}"
    if path.is_dir():
        found = [*(path / EXPORTS).glob("*.onnx"), *path.glob("*.onnx")]
        if not found:
            raise UsageError(f"{path}: no ONNX file in it", f"make one: {command}")
        file = min(found, key=lambda file: (file.parent == path, len(file.name), file.name))
        more = [quote(str(one)) for one in sorted(found) if one != file]
        beside = f"; others lie there: kd predict {' or '.join(more)}" if more else ""
        progress.say(f"{path}: using {file}{beside}")
        return file
    if path.suffix.lower() in OF_PYTORCH and path.exists():
        raise UsageError(f"{path}: a model of PyTorch, no ONNX file", f"make one: {command}")
    if is_image_name(path) and path.exists():
        raise UsageError(f"{path}: an image; the model comes first", "kd predict model.onnx IMAGE")
    return path


def image_files(given: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """Every image that was named, in that order; a folder's are sorted. Each counts once. And the
    names that match nothing, with what is wrong.

    Raises:
        UsageError: none matches anything.
    """
    found: dict[Path, None] = {}
    missing: dict[str, str] = {}
    for name in given:
        files = [file for place in _named(name) for file in _images_of(place)]
        if not files:
            lacks = "no image in it" if Path(name).is_dir() else "no such file, nothing matches"
            missing[name] = f"{shown(name)}: {lacks}"
        found |= dict.fromkeys(files)
    if not found:
        raise UsageError("\n".join(missing.values()), "give image files, folders or patterns")
    return list(found), missing


def _named(name: str) -> list[Path]:
    """What is called so, or else matches it: not every shell expands patterns."""
    if Path(name).exists():
        return [Path(name)]
    return [Path(match) for match in sorted(glob(name, recursive=True))]  # noqa: PTH207  # any root


def _images_of(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    images, _ = images_below(place)
    return [place / name for name in images]


def _readable(
    paths: list[Path], how: Decoding, skipped: dict[str, str], progress: Progress
) -> Iterator[Read]:
    """Read one by one; what cannot be read is said and noted."""
    for path in progress.track(paths, len(paths), "predicting"):
        try:
            yield str(path), read_image(path, how)
        except DataError as error:
            progress.warn(error.what)
            skipped[str(path)] = error.what


def _answers(
    file: Path, session: Session, feeding: Feeding, part: list[Read], top: int
) -> Iterator[Prediction]:
    names, images = zip(*part, strict=True)
    probabilities = feeding.answered(session(feeding.ready(images)))
    if probabilities.shape != (len(part), len(feeding.classes)):
        shape = " x ".join(map(str, probabilities.shape))
        raise DamagedFile(
            f"{file}: gives {shape} numbers for {counted(len(part), 'image')} and "
            f"{len(feeding.classes)} classes",
            EXPORT_AGAIN,
        )
    if not np.isfinite(probabilities).all():
        raise DamagedFile(f"{file}: its answers are not finite numbers", EXPORT_AGAIN)
    for name, row in zip(names, probabilities, strict=True):
        best = np.argsort(-row, kind="stable")[:top]
        yield Prediction(name, tuple(Guess(feeding.classes[i], float(row[i])) for i in best))
