"""`--min` and `--max`: which keys there are, names of classes in them, and what null means."""

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from kdcli.core.errors import UsageError
from kdcli.report.comparison import Comparison
from kdcli.report.gates import check_gates, for_classes, missed, parse_gates
from kdcli.report.keys import numeric_keys
from kdcli.report.model import ModelPart, Range, TeacherPart
from kdcli.report.schema import DataPart, Report

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
        *("models.student.terms.0.share_of_gradient", "models.baseline.curve.validation_nll"),
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


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("student.accuracy=95%", 0.95),
        ("student.accuracy=1", 1.0),
        ("comparison.gain_ci95.low=-1%", -0.01),
        ("comparison.gap_closed=50 %", 0.5),
        ("comparison.gap_closed=-2", -2.0),
        ("student.latency_ms.onnxruntime.p50=1e3", 1000.0),
        ("student.maps.flip=-0.5", -0.5),
    ],
)
def test_limits_that_a_number_can_have(text: str, limit: float) -> None:
    (gate,) = parse_gates((text,), ())
    assert gate.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("student.accuracy=95", "it is a fraction, from 0 to 1", "=0.95, or =95%"),
        ("student.recall.cat=90", "it is a fraction, from 0 to 1", "=0.9, or =90%"),
        ("student.accuracy_ci95.low=101%", "it is a fraction, from 0 to 1", ""),
        ("student.accuracy=-0.1", "it is a fraction, from 0 to 1", ""),
        ("comparison.gain_ci95.low=-1", "of which one point is 0.01", "=-0.01, or =-1%"),
        ("student.latency_ms.pytorch.p50=-3", "it is never negative", ""),
        ("student.params=5%", "an amount, no fraction", "without %"),
        ("student.accuracy=nan", "'nan' is no number", "=95%"),
        ("student.params=inf", "'inf' is no number", "=1e6"),
        ("student.accuracy=0,9", "'0,9' is no number", "=0.95"),
    ],
)
def test_limits_that_it_cannot_have_are_refused(text: str, what: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gates((text,), ())
    assert what in caught.value.what
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("accuracy", "student.accuracy"),
        ("acuracy", "student.accuracy"),
        ("params", "student.params"),
        ("gain", "comparison.gain"),
        ("gain_ci95.low", "comparison.gain_ci95.low"),
        ("worth_it", "exports.0.worth.worth_it"),
        ("student.acuracy", "student.accuracy"),
    ],
)
def test_a_key_that_is_cut_short_is_completed(key: str, meant: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"did you mean '{meant}'?")):
        parse_gates((f"{key}=0.9",), ())


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("student.latency_ms.onnxruntime.p50", "kd export measures it"),
        ("student.accuracy", "kd evaluate measures it"),
        ("student.accuracy_sd", "kd evaluate measures it"),
        ("baseline.accuracy", "this run has no baseline, only student"),
        ("student.recall.dog", "this class has no test images"),
        ("student.agreement", "there is no teacher to compare with"),
        ("comparison.gain", "kd evaluate compares the student"),
        ("exports.1.worth.worth_it", "kd export has written 0 of them"),
        ("teachers.1.accuracy", "only several teachers are listed"),
        ("licences.all_permissive", "an earlier kd wrote this report"),
        ("noise", "kd export measures it"),
        ("data.imbalance", "kd evaluate measures it"),
    ],
)
def test_null_says_why(key: str, why: str) -> None:
    checked = check_gates(parse_gates((f"{key}=0",), ()), _report())
    assert why in checked[0].why
    assert f" is null: {checked[0].why}; at least 0 was asked for" in str(missed(checked))
    assert checked[0].as_dict()["why"] == checked[0].why


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("gap_closed", "the teacher is not ahead of the baseline"),
        ("speedup.pytorch", "kd export measures it"),
        ("macs_reduction", "MACs of one of the two"),
        ("ensemble.gap_kept", "there is no ensemble of teachers"),
    ],
)
def test_null_of_a_comparison_says_why(key: str, why: str) -> None:
    part = ModelPart(name="m", params=7, accuracy=0.5)
    report = Report(
        run="r",
        model_sha256="0",
        models={"student": part, "teacher": part},
        comparison=_comparison(),
    )
    (checked,) = check_gates(parse_gates((f"comparison.{key}=0",), ()), report)
    assert why in checked.why


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


@pytest.mark.parametrize("key", ["student.recall.cat", "student.worst_class_recall"])
@pytest.mark.parametrize(("count", "words"), [(2, "passed (on 2 images)"), (30, "passed")])
def test_a_recall_of_few_images_says_so(key: str, count: int, words: str) -> None:
    counts = {"test_images_by_class": {"cat": count}}
    data = DataPart(name="d", is_default=0, classes=1, test_images=count, **counts)
    models = {"student": ModelPart(name="m", params=1, recall={"cat": 0.5}, worst_class="cat")}
    models["student"] = models["student"].model_copy(update={"worst_class_recall": 0.5})
    report = _report().model_copy(update={"models": models, "data": data})
    (checked,) = check_gates(for_classes(parse_gates((f"{key}=0.5",), ()), CLASSES), report)
    assert checked.outcome == words


def test_where_no_class_lost_anything_the_drop_is_nothing() -> None:
    gates = parse_gates((), ("comparison.class_lost_most.drop=0.05",))
    looked = _report(comparison=_comparison(balanced_gain=0.0))
    earlier = _report(comparison=_comparison())  # by a kd that did not look for it
    assert [check_gates(gates, r)[0].value for r in (looked, earlier, _report())] == [0, None, None]


@pytest.mark.parametrize(("right", "limit"), [(123, "98.4%"), (123, "0.984"), (124, "99.2%")])
def test_a_limit_that_is_met_exactly_is_met(right: int, limit: str) -> None:
    """98.4 / 100 is a bit above 0.984."""
    part = ModelPart(name="m", params=1, accuracy=right / 125)
    report = Report(run="r", model_sha256="", models={"student": part})
    gates = parse_gates([f"student.accuracy={limit}"], [f"student.accuracy={limit}"])
    assert all(one.passed for one in check_gates(gates, report))


def test_a_value_is_told_from_its_limit() -> None:
    part = ModelPart(name="m", params=1, file_bytes=1500634)
    report = Report(run="r", model_sha256="", models={"student": part})
    checked = check_gates(parse_gates(None, ["student.file_bytes=1500633"]), report)
    error = missed(checked)
    assert error
    assert "is 1500634, at most 1500633 was asked for" in error.what
