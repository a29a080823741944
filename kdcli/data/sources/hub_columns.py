"""Which columns of a Hugging Face data set hold images and labels, and what the labels mean.

Features are known by the names of their types: `datasets` is optional, and is not imported here.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError
from kdcli.core.text import some
from kdcli.data.class_list import class_list

ONE_LABEL = "kd takes one label per image, of a column of class labels"


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of one split."""

    indices: Indices
    """(n,) into the classes; below 0: not known."""
    classes: tuple[str, ...]


def image_column(name: str, features: Any) -> str:
    """`image`, which timm reads, else the only column of images; raises DataError.

    Several others are refused rather than guessed among: a depth map is a column of images, too.
    """
    found = [key for key, feature in features.items() if type(feature).__name__ == "Image"]
    return _chosen(name, features, found, "image", "images")


def label_column(name: str, features: Any) -> str:
    """`label`, which timm reads, else the only column of class labels; raises DataError."""
    if "label" in features:
        return "label"
    found = [key for key, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    return _chosen(name, features, found, "label", "class labels")


def _chosen(name: str, features: Any, found: list[str], wanted: str, what: str) -> str:
    if wanted in found or len(found) == 1:
        return wanted if wanted in found else found[0]
    there = ", ".join(features)
    if found:
        raise DataError(
            f"hfds/{name}: several columns of {what} ({', '.join(found)}), none called '{wanted}'",
            f"rename one of them to '{wanted}' in a copy of the set",
        )
    boxes = "; boxes or masks: object detection, which is not for kd" if _boxes(features) else ""
    raise DataError(f"hfds/{name}: no column of {what} (there: {there}){boxes}", ONE_LABEL)


def _boxes(features: Any) -> bool:
    return any("bbox" in str(feature) or key == "bbox" for key, feature in features.items())


def read_labels(name: str, table: Any, column: str, known: tuple[str, ...] | None = None) -> Labels:
    """Class labels with their names; whole numbers and words are classes too.

    `known` are the classes of train, which no other split may add to. Raises DataError for that,
    for several labels per image, and for numbers to be predicted.

    What is below 0 or empty is a label that is not known: where those of a test set are kept back,
    it has -1 throughout.
    """
    feature = table.features[column]
    values = table.with_format(None)[column][:]  # plain values, whatever format the set asks for
    kind = str(getattr(feature, "dtype", ""))
    names = getattr(feature, "names", None)
    if names is not None:
        own = class_list(names)
        place = np.array([*(own.index[name] for name in names), -1])  # the last of what is below 0
        return Labels(place[np.maximum(_numbers(values), -1)], own.names)
    if kind.startswith(("int", "uint", "bool")):
        indices = _numbers(values)
        count = int(indices.max(initial=-1)) + 1
        _refuse_strangers(name, range(count), range(len(known)) if known else range(count))
        return Labels(indices, known or tuple(map(str, range(count))))
    if kind in ("string", "large_string"):
        own = class_list(sorted({word for word in values if word is not None}))
        classes = known or own.names
        _refuse_strangers(name, own.names, classes)
        number = {word: classes.index(own.names[i]) for word, i in own.index.items()}
        return Labels(np.array([number.get(word, -1) for word in values], np.int64), classes)
    measured = kind.startswith(("float", "double"))
    reason = "numbers to be predicted: regression" if measured else "several labels per image"
    raise DataError(f"hfds/{name}: not for kd: column {column} holds {reason}", ONE_LABEL)


def _numbers(values: Iterable[Any]) -> Indices:
    return np.array([-1 if value is None else int(value) for value in values], dtype=np.int64)


def _refuse_strangers(name: str, labels: Iterable[Any], known: Container[Any]) -> None:
    strange = [str(label) for label in labels if label not in known]
    if strange:
        raise DataError(
            f"hfds/{name}: labels that no image of train has: {some(strange)}",
            "a class needs training images: take another set, or a copy without these rows",
        )
