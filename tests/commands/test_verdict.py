"""What is said of rare classes."""

import pytest

from kdcli.commands.report import DataPart
from kdcli.commands.verdict import notes_on_classes
from kdcli.recipe import Train


def _data(imbalance: float | None = 1.0, **images: int) -> DataPart:
    return DataPart(
        name="d",
        is_default=0,
        classes=max(1, len(images)),
        test_images=sum(images.values()),
        imbalance=imbalance,
        test_images_by_class=images or None,
    )


@pytest.mark.parametrize(
    ("train", "keys"),
    [
        (Train(), {"train.balance", "train.select"}),
        (Train(balance="loss"), {"train.select"}),
        (Train(select="balanced_accuracy"), {"train.balance"}),
        (Train(balance="sampler", select="balanced_accuracy"), set()),
    ],
)
def test_above_five_to_one_it_says_what_to_set(train: Train, keys: set[str]) -> None:
    text = " ".join(notes_on_classes(_data(12.3), train))
    assert {key for key in ("train.balance", "train.select") if key in text} == keys
    assert ("12.3 times" in text) == bool(keys)
    assert notes_on_classes(_data(5.0), train) == []
    assert notes_on_classes(_data(None), train) == []


@pytest.mark.parametrize(
    ("images", "note"),
    [
        ({"a": 9, "b": 90}, "class 'a' has 9 test images: its recall says little"),
        ({"a": 90, "b": 1}, "class 'b' has one test image: its recall says little"),
        (
            {"a": 9, "b": 0, "c": 4, "d": 99},
            "class 'b' has no test image (2 more have fewer than 10): nothing is known of it",
        ),
    ],
)
def test_classes_of_few_test_images_are_named(images: dict[str, int], note: str) -> None:
    assert notes_on_classes(_data(**images), Train()) == [note]
    assert notes_on_classes(_data(a=10, b=10), Train()) == []
