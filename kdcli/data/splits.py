"""Splits made on the fly: stratified, and the same on every machine.

By hashes of (seed, place), not by a library's shuffle: teacher, student and baseline have to see
the same images for years, whatever version of NumPy or scikit-learn is there.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from kdcli.core.arrays import Doubles, Indices, Ints
from kdcli.core.errors import DataError
from kdcli.core.text import shown, some
from kdcli.data.find_decoding import decoded, find_decoding
from kdcli.data.order import hashes
from kdcli.data.source import Defaults, Source, Split

T = TypeVar("T")

SEED = 0
"""Not the training's: runs of several seeds are compared on one test set."""
SHARES = {"test": 0.2, "validation": 0.1}
"""Of all the images to be divided; carved in this order. A verdict needs more of them than the
choice of an epoch. Seed and shares are part of a source's identity."""

ROLES = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""What a split is called here, to what it is."""

_SPELT = {
    "train": "train|training|trn",
    "validation": "val|valid|validation|validate|validating|dev|eval|evaluation",
    "test": "test|testing|tst|holdout",
}
_BESIDE = "set|sets|data|dataset|images?|imgs?|img|pictures|photos?|files|samples|split|seg|folder"
_SPELLINGS = {
    role: re.compile(f"(?:{_BESIDE})*(?:{words})(?:{_BESIDE})*") for role, words in _SPELT.items()
}


def role_of(name: str) -> str | None:
    """What a split of this name is: `Training`, `train_images`, `seg_train`, `testSet`, `val2017`.

    In any case of letters; of a few words that mean nothing here, and whatever is no letter, it is
    read without. None: no split is called so (`bullet train`, `fold1`).
    """
    return next((r for r, spelt in _SPELLINGS.items() if spelt.fullmatch(_letters(name))), None)


def says_nothing(name: str) -> bool:
    """Whether a folder of this name is neither split nor class: `images`, `dataset`."""
    return re.fullmatch(f"(?:{_BESIDE})+", _letters(name)) is not None


def _letters(name: str) -> str:
    return re.sub(r"[\W\d_]", "", name.lower())


_SPLIT = 0x73706C6974
"""Keeps splits apart from other numbers of the same seed."""


def with_test_set(given: Mapping[str, T]) -> tuple[dict[str, T], bool]:
    """What was given for each role, and whether the validation set was made the test set.

    A verdict needs a test set more than training needs a given validation set. One that serves as
    both would flatter: the best epoch is chosen on it.
    """
    if "validation" not in given or "test" in given:
        return dict(given), False
    others = {role: thing for role, thing in given.items() if role != "validation"}
    return others | {"test": given["validation"]}, True


def divide(given: Mapping[str, Split], where: str) -> tuple[dict[str, Split], dict[str, list[str]]]:
    """Three splits, those that are missing taken out of train; and the ids of the latter.

    Raises DataError, naming `where`, if train is too small for that.
    """
    train, splits = given["train"], dict(given)
    pool = np.arange(len(train))
    for role, share in SHARES.items():
        if role in given:
            continue
        # of all of train, though some of it is gone already
        rest, part = carve(train.labels[pool], share * len(train) / len(pool), SEED)
        if not len(part):
            raise DataError(
                f"{where}: {len(train)} training images are too few to take a {role} set from",
                "add images",
            )
        splits[role] = train.take(pool[part])
        pool = pool[rest]
    if len(pool) < len(train):
        splits["train"] = train.take(pool)
    return splits, {role: list(splits[role].ids) for role in SHARES if role not in given}


def carve(labels: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Indices (rest, part), both sorted, where `part` holds round(share * n) samples.

    Classes give by largest remainder. Every class keeps at least one sample in the rest and,
    where the total allows, has at least one in the part if it has two. The part is smaller than
    asked only if the classes could not give so many.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    chosen = np.zeros(len(labels), dtype=bool)
    keys = hashes(_SPLIT, seed, np.arange(len(labels)))
    for label, count in zip(classes, _counts(sizes, round(share * len(labels))), strict=True):
        members = np.flatnonzero(labels == label)
        chosen[members[np.argsort(keys[members], kind="stable")[:count]]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _counts(sizes: Ints, total: int) -> Ints:
    """How many each class gives, (K,): its quota rounded so that the sum is `total`.

    By largest remainder (Hamilton's way of dividing seats), within bounds: at least one of a class
    that has two, never its last. Each rounded by itself, they would not add up to the total.
    """
    most = sizes - 1
    total = min(total, int(most.sum()))
    quotas: Doubles = total * sizes / max(1, sizes.sum())
    counts: Ints = np.minimum(np.maximum(np.floor(quotas).astype(np.int64), 1), most)
    while counts.sum() < total:
        counts[np.where(counts < most, quotas - counts, -np.inf).argmax()] += 1
    while counts.sum() > total:
        # Several from one class go before the only one of another.
        spare = counts > (1 if counts.max() > 1 else 0)
        counts[np.where(spare, quotas - counts, np.inf).argmin()] -= 1
    return counts


def complete(
    given: Mapping[str, Split],
    *,
    name: str,
    where: str,
    classes: Iterable[str],
    identity: dict[str, Any],
    defaults: Defaults,
    notes: tuple[str, ...] = (),
    ignored: tuple[str, ...] = (),
) -> Source:
    """`given` has train, and may have validation and test; the others come out of train.

    Where every source ends, so that all of them divide, decode, name and count alike. `identity`
    says what was given; how it was divided is added, and how decoded where that is not as usual.
    Raises DataError, naming `where`, if train is too small.
    """
    names = tuple(map(shown, classes))
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise DataError(
            f"{where}: classes that are written alike: {some(twice)}", "give each its own name"
        )
    splits, carved = divide(given, where)
    taken = [
        f"{role} set: {len(ids):,} images taken out of the training images"
        for role, ids in carved.items()
    ]
    rule = find_decoding(splits["train"])
    unusual = {"decoding": rule.decoding.as_dict()} if rule.decoding.words else {}
    return Source(
        name=shown(name),
        classes=names,
        train=decoded(splits["train"], rule.decoding),
        validation=decoded(splits["validation"], rule.decoding),
        test=decoded(splits["test"], rule.decoding),
        identity=identity | {"split_seed": SEED, "shares": SHARES} | unusual,
        defaults=defaults,
        notes=(*notes, *taken, *rule.notes),
        ignored=ignored,
        carved=carved,
        decoding=rule.decoding,
    )


def absent_classes(given: Mapping[str, Split], classes: Iterable[str]) -> tuple[str, ...]:
    """A line for each split that lacks classes: told, not refused, as what the others recognise is
    measured all the same."""
    names, lines = tuple(classes), []
    for role, split in given.items():
        there = np.bincount(split.labels, minlength=len(names))
        absent = [shown(name) for name, count in zip(names, there, strict=True) if not count]
        lines += [f"{role} has no images of {some(absent)}"] if absent else []
    return tuple(lines)
