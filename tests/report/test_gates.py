"""`--min` and `--max`: which keys there are, names of classes in them, and what null means."""

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from kdcli.core.errors import UsageError
from kdcli.report.comparison import Comparison
from kdcli.report.gates import check_gates, for_classes, numeric_keys, parse_gates
from kdcli.report.model import ModelPart, Range, TeacherPart
from kdcli.report.schema import Report

CLASSES = ("cat", "Über Hemd", "a.b", "a.b.low", "x=y")
DOCS = Path(__file__).parents[2] / "docs" / "report.md"


def _value(key: str, report: Report) -> float | None:
    (checked,) = check_gates(for_classes(parse_gates((f"{key}=0",), ()), CLASSES), report)
    return checked.value


def _report(**more: Any) -> Report:
    recall = {name: i / 10 for i, name in enumerate(CLASSES, 1)}
    ends = {name: Range(low=-value, high=2 * value) for name, value in recall.items()}
    part = ModelPart(name="m", params=7, recall=recall, recall_ci95=ends, worst_class_recall=0.1)
    return Report(run="r", model_sha256="0", models={"student": part}, **more)


def _comparison(**more: Any) -> Comparison:
    numbers = dict.fromkeys(("gain", "p_value", "detectable_gain", "size_reduction"), 0.1)
    numbers |= dict.fromkeys(("accuracy_drop", "agreement", "distillation_score"), 0.1)
    return Comparison(
        **numbers,
        gain_ci95=Range(low=0, high=1),
        gap_closed=None,
        macs_reduction=None,
        seeds=1,
        verdict_code="one_seed_even",
        **more,
    )


def test_the_documentation_knows_every_word_of_every_key() -> None:
    documented = set(re.findall(r"\w+", DOCS.read_text("utf-8")))
    words = {word for key in numeric_keys() for word in key.split(".")}
    assert words - documented == set()


@pytest.mark.parametrize(
    "key",
    [
        *("models.student.worst_class_recall", "models.baseline.balanced_accuracy"),
        *("models.student.macro_f1", "comparison.class_lost_most.drop", "data.imbalance"),
        *("models.teacher.recall.CLASS", "models.student.recall_ci95.CLASS.low"),
        *("comparison.class_lost_most.ci95.high", "comparison.balanced_gain_ci95.low"),
        *("comparison.ensemble.gap_kept", "comparison.ensemble.gain_over_single_ci95.low"),
        *("models.ensemble.accuracy", "models.assistant.recall.CLASS", "teachers.0.accuracy"),
    ],
)
def test_numbers_per_class_can_be_gates(key: str) -> None:
    assert key in numeric_keys()


@pytest.mark.parametrize(("name", "value"), zip(CLASSES, (0.1, 0.2, 0.3, 0.4, 0.5), strict=True))
def test_a_class_may_be_called_anything(name: str, value: float) -> None:
    assert _value(f"student.recall.{name}", _report()) == value
    assert _value(f"models.student.recall.{name}", _report()) == value
    assert _value(f"student.recall_ci95.{name}.low", _report()) == -value


def test_any_assistant_and_any_member_can_be_a_gate() -> None:
    part = ModelPart(name="m", params=7, accuracy=0.5, recall={"a.b": 0.25})
    member = TeacherPart.model_validate(
        dict.fromkeys(("weight", "validation_accuracy", "accuracy", "nll"), 0.5)
        | {"name": "m", "seed": 3, "params": 7, "macs": None, "train_seconds": None}
    )
    report = Report(
        run="r",
        model_sha256="0",
        models={"assistant_1": part, "assistant_12": part},
        teachers=[member] * 12,
    )
    assert _value("assistant_12.accuracy", report) == 0.5
    assert _value("models.assistant_12.recall.a.b", report) == 0.25
    assert _value("assistant_13.accuracy", report) is None
    assert _value("teachers.11.seed", report) == 3
    assert _value("teachers.12.seed", report) is None
    assert _value("teachers.0.macs", report) is None
    with pytest.raises(UsageError, match="no number of the report"):
        parse_gates(("teachers.0.name=1",), ())


def test_umlauts_in_two_characters_are_the_same_class() -> None:
    name = unicodedata.normalize("NFD", "Über Hemd")
    assert name != "Über Hemd"
    assert _value(f"student.recall.{name}", _report()) == 0.2


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("student.recal.cat", "did you mean 'student.recall.CLASS'?"),
        ("student.recall", "did you mean 'student.recall.CLASS'?"),
        ("student.recall.", "no number of the report"),
        ("student.recall_ci95.cat", "did you mean 'student.recall_ci95.CLASS.low'?"),
        ("student.worst_class", "did you mean 'student.worst_class_recall'?"),
    ],
)
def test_an_unknown_key_is_a_mistake_before_anything_runs(key: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gates((), (f"{key}=1",))
    assert words in str(caught.value)


def test_a_limit_that_is_no_number_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="'much' is no number"):
        parse_gates(("student.recall.cat=much",), ())
    with pytest.raises(UsageError, match="expects KEY=VALUE"):
        parse_gates(("student.recall.cat",), ())


def test_an_unknown_class_is_a_mistake() -> None:
    gates = parse_gates(("student.recall.Uber Hemd=1",), ())
    with pytest.raises(UsageError) as caught:
        for_classes(gates, CLASSES)
    assert caught.value.what.endswith("did you mean 'Über Hemd'?")
    assert "the 5 classes: cat, Über Hemd" in caught.value.fix


def test_a_class_without_test_images_misses_its_gate() -> None:
    gates = for_classes(parse_gates(("student.recall.dog=0",), ()), ("dog",))
    (checked,) = check_gates(gates, _report())
    assert checked.value is None
    assert not checked.passed


def test_where_no_class_lost_anything_the_drop_is_nothing() -> None:
    gates = parse_gates((), ("comparison.class_lost_most.drop=0.05",))
    looked = _report(comparison=_comparison(balanced_gain=0.0))
    earlier = _report(comparison=_comparison())  # by a kd that did not look for it
    assert [check_gates(gates, r)[0].value for r in (looked, earlier, _report())] == [0, None, None]
