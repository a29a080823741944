"""Temperature made visible: what a model answers to validation images at T = 0.5 to 8."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcli.core.arrays import Bools, Doubles, Ints, Reals
from kdcli.core.errors import NotFinite
from kdcli.data.source import Source

Probabilities = Doubles


TEMPERATURES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Sharper than the model, the model itself, and what distillation uses."""


def soften(logits: Reals, temperature: float) -> Probabilities:
    """softmax(logits / T) (Hinton, Vinyals, Dean 2015, arXiv:1503.02531, eq. 1).

    The order of the classes stays; T -> infinity gives 1/K each, T -> 0 the top class alone.

    Raises:
        ValueError: T is not positive.
        NotFinite: a logit is not a number.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} is not positive")
    if not np.isfinite(logits).all():
        raise NotFinite("logits are not finite, so no temperature softens them")
    scaled = logits.astype(np.float64)
    scaled = (scaled - scaled.max(axis=1, keepdims=True)) / temperature
    powers = np.exp(scaled)
    softened: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return softened


def entropy(probabilities: Probabilities) -> Probabilities:
    """(N,) -sum p log p, in nats: 0 for one certain class, log K for a uniform answer."""
    logs = np.log(probabilities, where=probabilities > 0, out=np.zeros_like(probabilities))
    found: Probabilities = np.maximum(-(probabilities * logs).sum(axis=1), 0.0)
    return found


def entropy_share(probabilities: Probabilities) -> Probabilities:
    """(N,) entropy / log K, in [0, 1]: comparable between data sets of different K."""
    return entropy(probabilities) / float(np.log(probabilities.shape[1]))


def contrast(probabilities: Probabilities) -> Probabilities:
    """(N,) largest minus second largest probability, in [0, 1]; 0 is a tie."""
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return np.asarray(first - second)


def top(probabilities: Probabilities, count: int) -> Ints:
    """(N, min(count, K)) the likeliest classes, likeliest first; of equals the lower index."""
    order: Ints = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return order


# Classes that are alike ------------------------------------------------------------------------


def mean_soft_targets(probabilities: Probabilities, labels: Ints) -> Probabilities:
    """(K, K): row c is the mean answer to the images of class c; a class without images is NaN."""
    classes = probabilities.shape[1]
    sums = np.zeros((classes, classes))
    np.add.at(sums, labels, probabilities)
    counts = np.bincount(labels, minlength=classes)[:, None]
    means: Probabilities = np.divide(sums, counts, where=counts > 0, out=np.full_like(sums, np.nan))
    return means


def most_alike(targets: Probabilities, count: int = 3) -> list[list[tuple[int, float]]]:
    """For each class the other classes that its images are most taken for, with the mean share.

    `targets` is what `mean_soft_targets` gave; a class without images has an empty list.
    """
    others = targets.copy()
    np.fill_diagonal(others, -1.0)  # below every probability
    count = min(count, len(targets) - 1)
    order = np.argsort(-others, axis=1, kind="stable")[:, :count]
    return [
        [] if np.isnan(targets[row]).any() else [(int(j), float(targets[row, j])) for j in near]
        for row, near in enumerate(order)
    ]


# Images worth a look ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """One image to look at, and why."""

    index: int
    """Its place in the split."""
    why: str
    """`sure`, `unsure` or `wrong`."""


def examples(probabilities: Probabilities, labels: Ints) -> list[Example]:
    """Up to four images: two sure and right, of different classes; one unsure; one wrong.

    Sure and unsure are the largest and smallest contrast among those that are right, wrong is the
    one answered wrongly with the largest contrast. Ties go to the first; none is taken twice, and
    what does not exist is left out.
    """
    margin = contrast(probabilities)
    right = probabilities.argmax(axis=1) == labels
    surest = _ranked(-margin, right)
    chosen = [Example(i, "sure") for i in surest[:1]]
    chosen += [Example(i, "sure") for i in surest if labels[i] != labels[surest[0]]][:1]
    taken = {example.index for example in chosen}
    chosen += [Example(i, "unsure") for i in _ranked(margin, right) if i not in taken][:1]
    return chosen + [Example(i, "wrong") for i in _ranked(-margin, ~right)][:1]


def _ranked(scores: Probabilities, among: Bools) -> list[int]:
    """Indices where `among` holds, by rising score, of equals the first."""
    order = np.argsort(scores, kind="stable")
    return [int(i) for i in order[among[order]]]


# A model's answers -----------------------------------------------------------------------------

USUAL = 4.0
"""Where the recipe has no temperature: that of the recipe kd."""
TOP = 5
"""Classes shown of an answer."""
ALIKE = 3
"""Classes shown that a class is taken for."""


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
    targets: Doubles
    """(K, K): row c is the mean answer to the images of class c; NaN where there are none."""

    def alike(self, count: int = ALIKE) -> list[list[tuple[int, float]]]:
        """For each class the others that its images are most taken for, and the mean share."""
        return most_alike(self.targets, count)


def look(logits: Any, labels: Any, source: Source, hot: float) -> Softened:
    """Logits (N, K) of the validation images, labels (N,), softened at each of `TEMPERATURES`;
    `hot` is the one at which classes are held to be alike."""
    plain = soften(logits, 1.0)
    return Softened(
        data=source.name,
        images=len(labels),
        accuracy=float(np.mean(plain.argmax(1) == labels)),
        classes=source.classes,
        levels=_levels(logits),
        shown=tuple(_shown(example, logits, labels, source) for example in examples(plain, labels)),
        temperature=hot,
        targets=mean_soft_targets(soften(logits, hot), labels),
    )


def _levels(logits: Any) -> tuple[Level, ...]:
    return tuple(_level(t, soften(logits, t)) for t in TEMPERATURES)


def _level(t: float, rows: Probabilities) -> Level:
    return Level(
        temperature=t,
        top=tuple(float(p) for p in np.sort(rows, axis=1)[:, ::-1][:, :TOP].mean(0)),
        entropy=float(entropy(rows).mean()),
        entropy_share=float(entropy_share(rows).mean()),
        contrast=float(contrast(rows).mean()),
    )


def _shown(example: Example, logits: Any, labels: Any, source: Source) -> Shown:
    i = example.index
    # of the logits: probabilities that round to 0 would seem equal
    order = top(logits[i : i + 1], TOP)[0]
    return Shown(
        id=source.validation.ids[i],
        why=example.why,
        label=source.classes[labels[i]],
        classes=tuple(source.classes[c] for c in order),
        levels=_levels(logits[i : i + 1]),
    )


def recipe_temperature(recipe: dict[str, Any]) -> float:
    """The first temperature among the recipe's methods; 4 where none has one."""
    methods = recipe.get("methods") or {}
    found = [use.get("temperature") for use in methods.values() if isinstance(use, dict)]
    return next((float(t) for t in found if isinstance(t, int | float) and t > 0), USUAL)
