"""What is said of rare classes, of chains, and of ensembles that are not ahead."""

import pytest

from kdcli.recipe.train import Train
from kdcli.report.comparison import Comparison
from kdcli.report.model import ModelPart, Range
from kdcli.report.schema import DataPart
from kdcli.report.verdict import notes, notes_on_classes, sentence


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


def _comparison(drop: float) -> Comparison:
    return Comparison(
        gain=0.0,
        gain_ci95=Range(low=0, high=0),
        p_value=1,
        detectable_gain=0.02,
        gap_closed=None,
        size_reduction=0.5,
        macs_reduction=None,
        accuracy_drop=drop,
        agreement=0.9,
        distillation_score=0.5,
        seeds=1,
        verdict_code="one_seed_even",
    )


def _models(**accuracies: float) -> dict[str, ModelPart]:
    return {
        role: ModelPart(name="m", params=7, accuracy=a, converged=True)
        for role, a in accuracies.items()
    }


def test_a_chain_says_what_each_step_lost() -> None:
    models = _models(student=0.9, baseline=0.8, assistant_1=0.94, assistant_2=0.93, teacher=0.95)
    assert notes(_comparison(0.05), models)[0] == (
        "test accuracy along the chain: teacher 0.9500, assistant 1 0.9400 (-1.0 points), "
        "assistant 2 0.9300 (-1.0 points), student 0.9000 (-3.0 points)"
    )
    del models["assistant_1"], models["assistant_2"]
    assert "chain" not in " ".join(notes(_comparison(0.05), models))


def test_an_ensemble_that_is_not_ahead_is_called_one() -> None:
    models = _models(student=0.9, baseline=0.9, teacher=0.95, ensemble=0.9)
    (first, _) = notes(_comparison(0.0), models)
    assert first.startswith("the ensemble (0.9000) is not ahead of the baseline (0.9000)")


@pytest.mark.parametrize("code", ["helped", "hurt", "equal"])
def test_a_scheme_without_teacher_is_named(code: str) -> None:
    found = _comparison(0.0).model_copy(update={"verdict_code": code, "seeds": 3})
    named, taught = (
        sentence(found, run="r", test_images=9, margin=0.01, scheme=scheme)
        for scheme in ("mutual", None)
    )
    assert named.startswith("Distillation (scheme mutual) ")
    assert taught == named.replace(" (scheme mutual)", "")


@pytest.mark.parametrize(
    ("rise", "words"),
    [
        (0.031, "its training accuracy rose by 3.1 points over the last fifth of its epochs, and "),
        (None, "had not converged: one epoch does not tell; train longer"),
    ],
)
def test_a_baseline_that_has_not_converged_tells_its_rise(rise: float | None, words: str) -> None:
    models = _models(student=0.9, baseline=0.8, teacher=0.95)
    told = {"converged": False, "train_accuracy_rise": rise}
    models["baseline"] = models["baseline"].model_copy(update=told)
    assert words in " ".join(notes(_comparison(0.05), models))


def test_without_a_teacher_there_is_no_word_of_one() -> None:
    found = _comparison(0.0).model_copy(update={"accuracy_drop": None, "agreement": None})
    models = _models(student=0.9, baseline=0.9, peers=0.95)
    assert "teacher" not in " ".join(notes(found, models))
