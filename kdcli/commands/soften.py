"""Temperature made visible: what a model answers to validation images at T = 0.5 to 8."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcli import temperature
from kdcli.commands.adopt import check_classes
from kdcli.commands.asked import answers_of, counted_batches
from kdcli.commands.inspect import Inspected, Onnx, Trained
from kdcli.commands.loading import Loaded
from kdcli.commands.plan import is_gone, open_data, reopen_data
from kdcli.data.loader import Store, open_store
from kdcli.data.source import Source
from kdcli.devices import open_device
from kdcli.errors import KdError, UnfitTeacher, UsageError
from kdcli.models.tap import Tap
from kdcli.progress import Progress
from kdcli.recipe import get

TOP = 5
"""Classes shown of an answer."""
ALIKE = 3
"""Classes shown that a class is taken for."""
USUAL = 4.0
"""Where the recipe has no temperature."""


@dataclass(frozen=True)
class Level:
    """An answer, or the mean of many, at one temperature."""

    temperature: float
    top: tuple[float, ...]
    """Probabilities of the likeliest classes, falling."""
    entropy: float
    """In nats."""
    entropy_share: float
    """Of log K."""
    contrast: float
    """Largest minus second largest probability."""


@dataclass(frozen=True)
class Shown:
    """One validation image."""

    id: str
    why: str
    """`sure`, `unsure` or `wrong`."""
    label: str
    classes: tuple[str, ...]
    """The likeliest, at any temperature in this order."""
    levels: tuple[Level, ...]


@dataclass(frozen=True, eq=False)
class Softened:
    """What temperature does to a model's answers on validation."""

    data: str
    images: int
    accuracy: float
    classes: tuple[str, ...]
    levels: tuple[Level, ...]
    """Means over all images; `top` of the likeliest class of each, the second likeliest, ..."""
    shown: tuple[Shown, ...]
    temperature: float
    """Of what follows: the recipe's own, else 4."""
    targets: NDArray[np.float64]
    """(K, K): row c is the mean answer to the images of class c; NaN where there are none."""

    def alike(self, count: int = ALIKE) -> list[list[tuple[int, float]]]:
        """For each class the others that its images are most taken for, and the mean share."""
        return temperature.most_alike(self.targets, count)


def prepare(
    found: Inspected, data: str | None, progress: Progress
) -> Callable[[], Softened] | None:
    """What asks the model about every validation image; None, said aloud, where there are no data.

    Raises:
        UsageError: `data` was given for something that knows no classes of its own.
        UnfitTeacher: the model knows other classes than these data.
    """
    if not isinstance(found, Trained):
        if data is not None:
            what = "kd does not ask an ONNX file" if isinstance(found, Onnx) else "this is none"
            raise UsageError(
                f"--data shows what a trained model answers; {what}",
                "give a run folder or a model.pt",
            )
        return None
    source = _source(found, data, progress)
    return partial(_ask, found, source, progress) if source else None


def _ask(found: Trained, source: Source, progress: Progress) -> Softened:
    recipe = found.loaded.file.recipe
    size = get(recipe, "data.image_size")
    size = size if isinstance(size, int) else found.loaded.args.input_size
    store = open_store(source.validation, size, progress)
    logits = _predict(found.loaded, store, progress)
    return look(logits, store.labels, source, recipe_temperature(recipe))


def look(logits: Any, labels: Any, source: Source, hot: float) -> Softened:
    """Logits (N, K) of the validation images, labels (N,), softened; `hot` is for likeness."""
    plain = temperature.soften(logits, 1.0)
    return Softened(
        data=source.name,
        images=len(labels),
        accuracy=float(np.mean(plain.argmax(1) == labels)),
        classes=source.classes,
        levels=_levels(logits),
        shown=tuple(
            _shown(example, logits, labels, source)
            for example in temperature.examples(plain, labels)
        ),
        temperature=hot,
        targets=temperature.mean_soft_targets(temperature.soften(logits, hot), labels),
    )


def recipe_temperature(recipe: dict[str, Any]) -> float:
    """The first temperature among the recipe's methods; 4 where none has one."""
    methods = recipe.get("methods") or {}
    found = [use.get("temperature") for use in methods.values() if isinstance(use, dict)]
    return next((float(t) for t in found if isinstance(t, int | float) and t > 0), USUAL)


def _source(found: Trained, data: str | None, progress: Progress) -> Source | None:
    if data is not None:
        source, _ = open_data(data, progress)
        _check_classes(found, source)
        return source
    if found.run is None:
        progress.say(f"{found.path}: no run beside it; give --data to see its answers softened")
        return None
    ref = found.run.spec.data
    if is_gone(ref):
        progress.say(
            f"{ref.location}: gone, so no answers are softened; --data gives another place"
        )
        return None
    try:
        return reopen_data(ref, progress)
    except KdError as error:  # the rest of what there is to see does not depend on it
        progress.warn(f"{error.what}; no answers are softened")
        return None


def _check_classes(found: Trained, source: Source) -> None:
    try:
        check_classes(found.loaded.file.classes, source.classes, str(found.path))
    except UnfitTeacher as error:  # here it teaches nobody
        what = error.what.removeprefix("teacher ")
        raise UnfitTeacher(what, "give the data that it was trained on") from error


def _predict(loaded: Loaded, store: Store, progress: Progress) -> NDArray[np.float32]:
    device = open_device("auto")
    tap = Tap(loaded.module, loaded.args, "").to(device)
    with closing(counted_batches(1, store, progress)) as ticks:
        return answers_of(tap, store, device, ticks)


def _levels(logits: Any) -> tuple[Level, ...]:
    return tuple(_level(t, temperature.soften(logits, t)) for t in temperature.TEMPERATURES)


def _level(t: float, rows: temperature.Probabilities) -> Level:
    return Level(
        temperature=t,
        top=tuple(float(p) for p in np.sort(rows, axis=1)[:, ::-1][:, :TOP].mean(0)),
        entropy=float(temperature.entropy(rows).mean()),
        entropy_share=float(temperature.entropy_share(rows).mean()),
        contrast=float(temperature.contrast(rows).mean()),
    )


def _shown(example: temperature.Example, logits: Any, labels: Any, source: Source) -> Shown:
    i = example.index
    # of the logits: probabilities that round to 0 would seem equal
    order = temperature.top(logits[i : i + 1], TOP)[0]
    return Shown(
        id=source.validation.ids[i],
        why=example.why,
        label=source.classes[labels[i]],
        classes=tuple(source.classes[c] for c in order),
        levels=_levels(logits[i : i + 1]),
    )
