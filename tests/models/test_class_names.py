"""What checkpoints call their classes, under whatever key."""

import argparse

import numpy as np
import pytest

from kdcli.core.errors import UsageError
from kdcli.models.foreign.class_names import choose, names_in

NAMES = ("cat", "ape", "dog")
TO_NUMBER = {name: i for i, name in enumerate(NAMES)}
BY_NUMBER = dict(enumerate(NAMES))


@pytest.mark.parametrize(
    "raw",
    [
        {"class_to_idx": TO_NUMBER},
        {"class_to_idx": {"dog": 2, "ape": np.int64(1), "cat": 0}},
        {"classes": list(NAMES)},
        {"classes": np.array(NAMES)},
        {"names": BY_NUMBER},
        {"names": NAMES},
        {"label_names": NAMES},
        {"id2label": {str(i): name for i, name in BY_NUMBER.items()}},
        {"label2id": TO_NUMBER},
        {"idx_to_class": BY_NUMBER},
        {"classes": TO_NUMBER},
        {"categories": [{"id": i + 1, "name": name} for i, name in BY_NUMBER.items()]},
        {"categories": [{"id": i, "name": NAMES[i]} for i in (2, 0, 1)]},
        {"categories": [{"name": name} for name in NAMES]},
        {"class_to_idx": {name: i + 1 for name, i in TO_NUMBER.items()}},
        {"hyper_parameters": {"class_names": NAMES}},
        {"meta": {"dataset_meta": {"classes": NAMES, "palette": [[0, 0, 0]] * 3}}},
        {"meta": {"CLASSES": NAMES}},
        {"args": argparse.Namespace(class_map=TO_NUMBER, lr=0.1)},
        {"config": {"pretrained_cfg": {"label_names": NAMES}}},
    ],
)
def test_every_habit(raw):
    ((_, names),) = names_in({"state_dict": {}, "epoch": 3} | raw, 3)
    assert names == NAMES


@pytest.mark.parametrize(
    "raw",
    [
        {"classes": 3},
        {"classes": ["cat", "ape"]},
        {"classes": ["cat", "cat", "dog"]},
        {"categories": [{"id": 3 * i, "name": name} for i, name in BY_NUMBER.items()]},
        {"categories": [{"id": 1, "name": name} for name in NAMES]},
        {"labels": [0, 1, 2]},
        {"class_to_idx": {"cat": 0, "ape": 0, "dog": 2}},
        {"class_to_idx": {"cat": 1, "ape": 2, "dog": 4}},
        {"id2label": {0: "cat", 1: "ape", 3: "dog"}},
        {"names": None},
        [1, 2],
    ],
)
def test_what_names_no_classes(raw):
    assert names_in(raw, 3) == ()


def test_numbers_may_be_names():
    """ImageFolder sorts them by letters."""
    raw = {"class_to_idx": {"0": 0, "10": 1, "2": 2}}
    assert names_in(raw, 3) == (("class_to_idx", ("0", "10", "2")),)


def test_of_several_lists_the_datas_is_taken():
    raw = {"classes": ["n02", "n01", "n03"], "meta": {"names": NAMES}}
    found = names_in(raw, 3)
    assert choose(found, ("ape", "cat", "dog"), "w.pth") == ("meta.names", NAMES)
    assert choose(found, ("n01", "n02", "n03"), "w.pth") == ("classes", ("n02", "n01", "n03"))
    assert choose(found, None, "w.pth") == ("classes", ("n02", "n01", "n03"))
    assert choose((), NAMES, "w.pth") is None


def test_mere_numbers_name_nothing_but_numbers():
    found = names_in({"id2label": {i: f"LABEL_{i}" for i in range(3)}}, 3)
    assert choose(found, NAMES, "w.pth") is None
    assert choose(found, None, "w.pth") == found[0]
    found = names_in({"classes": ["2", "1", "0"]}, 3)
    assert choose(found, ("0", "1", "2"), "w.pth") == ("classes", ("2", "1", "0"))


def test_two_orders_are_not_guessed_between():
    found = names_in({"classes": sorted(NAMES), "class_to_idx": TO_NUMBER}, 3)
    with pytest.raises(UsageError, match=r"two orders, class_to_idx \(cat, ape, dog\)") as caught:
        choose(found, NAMES, "w.pth")
    assert "--classes FILE" in caught.value.fix
