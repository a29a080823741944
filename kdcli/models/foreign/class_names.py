"""What a checkpoint, or the config.json beside it, calls the classes of its model.

Everybody keeps them under another key: `class_to_idx` (torchvision's ImageFolder), `id2label` (the
Hub), `label_names` (timm), `meta.dataset_meta.classes` (mmengine), `names` (detectors), ...
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kdcli.core.errors import UsageError
from kdcli.core.text import some

_TO_NUMBER = (
    *("class_to_idx", "class_to_index", "class2idx", "cls2idx", "cat2idx", "cat_to_idx"),
    *("label2id", "label_to_idx", "label2idx"),
)
_LISTED = (
    *("label_names", "class_names", "classnames", "classes", "names", "categories", "labels"),
    *("target_names", "label_list", "class_list", "idx_to_class", "index_to_class", "idx2class"),
    *("id2label", "idx_to_label", "idx2label", "class_map", "label_map", "labels_map", "mapping"),
    *("class_mapping", "label_mapping", "idx2cls", "idx2cat", "vocab", "classes_"),
)
"""Lists of names, or names by their places; the reverse is told from what is in them."""
_AROUND = (
    *("hyper_parameters", "hparams", "meta", "config", "cfg", "args", "dataset_meta", "opt"),
    *("model_args", "model_config", "pretrained_cfg", "dataset", "data", "params", "metadata"),
    *("info", "extra", "datamodule_hyper_parameters", "kd", "kwargs", "train_args", "settings"),
)
"""Keys of what stands around weights, that may hold them."""
_DEPTH = 4
_PLACEHOLDER = re.compile(r"(label|class)?[ _-]?\d+", re.IGNORECASE)
"""`LABEL_3`, as transformers calls classes that nobody has named."""

Named = tuple[str, tuple[str, ...]]
"""The keys that lead to it, and the names in the order of the classifier."""


def names_in(raw: Any, count: int | None) -> tuple[Named, ...]:
    """Every list of `count` class names (None: any number) in what a file holds; each list once.

    One name a class: names of some, or one twice, could not put a model's answers in order.
    """
    found: dict[tuple[str, ...], str] = {}
    for where, value in _entries(raw, ()):
        names = _listed(where[-1], value)
        if names and len(set(names)) == len(names) and count in (None, len(names)):
            found.setdefault(names, ".".join(where))
    return tuple((where, names) for names, where in found.items())


def choose(found: Sequence[Named], classes: Sequence[str] | None, file: str) -> Named | None:
    """The names to go by; those of the data's `classes`, where several lists are there (ImageNet's
    WordNet ids beside words). Mere numbers name none of other data's classes.

    Raises:
        UsageError: two lists of the same names in different orders.
    """
    wanted = set(classes or ())
    fitting = [one for one in found if set(one[1]) == wanted]
    telling = [one for one in found if not all(map(_PLACEHOLDER.fullmatch, one[1]))]
    chosen = next(iter(fitting or telling or (found if classes is None else ())), None)
    others = [one for one in found if chosen and set(one[1]) == set(chosen[1]) and one != chosen]
    if chosen and others:
        raise UsageError(
            f"{file}: names its classes in two orders, {chosen[0]} ({some(chosen[1], 4)}) and "
            f"{others[0][0]} ({some(others[0][1], 4)})",
            "say which it is: --classes FILE, one name a line in the order of its classifier",
        )
    return chosen


def _entries(raw: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Whatever stands under a key that may name classes, the nearest first."""
    known = {_plain(key): (str(key), value) for key, value in _items(raw)}
    for word in (*_TO_NUMBER, *_LISTED):
        if word in known:
            key, value = known[word]
            yield (*path, key), value
    for word in _AROUND if len(path) < _DEPTH else ():
        if word in known:
            key, value = known[word]
            yield from _entries(value, (*path, key))


def _items(raw: Any) -> Sequence[tuple[Any, Any]]:
    if isinstance(raw, argparse.Namespace):
        raw = vars(raw)
    return list(raw.items()) if isinstance(raw, Mapping) else []


def _plain(key: Any) -> str:
    return str(key).lower().replace("-", "_")


def _listed(key: str, value: Any) -> tuple[str, ...]:
    """The names in order; empty where this is something else."""
    if isinstance(value, Mapping):
        return _from_mapping(value, reverse=_plain(key) in _TO_NUMBER)
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, list | tuple):
        return ()
    if value and all(isinstance(one, Mapping) for one in value):  # COCO's, each with its number
        numbered = any("id" in one for one in value)
        pairs = {one.get("id") if numbered else i: one.get("name") for i, one in enumerate(value)}
        return _from_mapping(pairs, reverse=False) if len(pairs) == len(value) else ()
    names = list(value)
    return tuple(map(str, names)) if all(isinstance(name, str) for name in names) else ()


def _from_mapping(value: Mapping[Any, Any], *, reverse: bool) -> tuple[str, ...]:
    """Names to places, or places to names. Where both are numbers, the key alone tells which."""
    pairs = list(value.items())
    if not reverse:
        reverse = all(_place(k) is None for k, _ in pairs[:1])
    if reverse:
        pairs = [(place, name) for name, place in pairs]
    placed = {_place(place): name for place, name in pairs}
    first = min((place for place in placed if place is not None), default=0)
    if first not in (0, 1) or set(placed) != set(range(first, first + len(pairs))):
        return ()  # numbered from 1 they are in the same order
    names = [placed[i] for i in range(first, first + len(pairs))]
    named = all(isinstance(n, str) or _place(n) is not None for n in names)
    return tuple(map(str, names)) if named else ()


def _place(value: Any) -> int | None:
    """A whole number, or one that JSON had to make a string of."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else None
    try:
        return int(value) if not isinstance(value, bool) and int(value) == value else None
    except (TypeError, ValueError):
        return None
