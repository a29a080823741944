"""A report as rows, lines and Markdown; and how one from an earlier kd is read."""

import json
from pathlib import Path
from typing import Literal

import pytest

from kdcli.core.latency import beyond
from kdcli.report.comparison import ClassLostMost, CloserTo, Comparison, EnsembleComparison, Speedup
from kdcli.report.file import read_report
from kdcli.report.markdown import markdown
from kdcli.report.model import ModelPart, Range
from kdcli.report.schema import DataPart, Report
from kdcli.report.sentences import ensemble_lines, figures
from kdcli.report.table import class_table, exit_table, heads, roles, table

EARLIER = {
    "schema": 1,
    "kd": "0.1.0",
    "run": "r",
    "model_sha256": "0",
    "data": {"name": "d", "is_default": 0, "classes": 2, "test_images": 9},
    "models": {"student": {"name": "m", "params": 7, "accuracy": 0.5}},
    "comparison": {
        **dict.fromkeys(("gain", "p_value", "detectable_gain", "size_reduction"), 0.25),
        **dict.fromkeys(("accuracy_drop", "agreement", "seeds"), 1),
        **dict.fromkeys(("gap_closed", "macs_reduction", "speedup", "distillation_score")),
        "gain_ci95": {"low": 0, "high": 1},
        "verdict_code": "one_seed_even",
    },
}
"""report.json before there was anything on classes."""


def _report(classes: dict[str, int], imbalance: float) -> Report:
    recall = {name: 0.5 + i / 1000 for i, name in enumerate(classes)}
    part = ModelPart(
        name="m",
        params=7,
        accuracy=0.9,
        balanced_accuracy=0.8,
        macro_f1=0.7,
        recall=recall,
        recall_ci95={name: Range(low=0.25, high=0.75) for name in classes},
        worst_class=next(iter(classes)),
        worst_class_recall=0.5,
    )
    lost = ClassLostMost(name="x", drop=0.04, ci95=Range(low=-0.012, high=0.091), test_images=54)
    comparison = Comparison.model_validate(
        EARLIER["comparison"]
        | {"balanced_gain": 0.02, "balanced_gain_ci95": Range(low=-0.01, high=0.05)}
        | {"class_lost_most": lost}
    )
    data = DataPart(
        name="d",
        is_default=0,
        classes=len(classes),
        test_images=sum(classes.values()),
        imbalance=imbalance,
        test_images_by_class=classes,
    )
    models = {"student": part, "teacher": part.model_copy(update={"recall_ci95": None})}
    return Report(run="r", model_sha256="0", data=data, models=models, comparison=comparison)


EVEN = dict.fromkeys("abcdefghij", 54)


def test_an_earlier_report_is_read_and_drawn(tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    place.write_text(json.dumps(EARLIER), "utf-8")
    report = read_report(place, "0")
    assert report is not None
    text = markdown(report)
    assert "test accuracy" in text
    assert not any(word in text for word in ("recall", "balanced", "most lost", "counted alike"))


@pytest.mark.parametrize(
    ("size", "macs", "words"),
    [
        (0.964, 0.986, "size -96.4%, MACs -98.6%, accuracy "),
        (-2.672, None, "size +267.2%, accuracy "),
        (-0.25, 0.0, "size +25.0%, MACs +0.0%, accuracy "),
        (0.0, 0.0, "accuracy "),
        (-0.0001, 0.0002, "accuracy "),
        (0.0, None, "accuracy "),
    ],
)
def test_a_student_may_be_larger_or_as_large(size: float, macs: float | None, words: str) -> None:
    report = _report(EVEN, 1.0)
    assert report.comparison
    costs = {"size_reduction": size, "macs_reduction": macs}
    comparison = report.comparison.model_copy(update=costs)
    (line,) = [
        line
        for line in figures(report.model_copy(update={"comparison": comparison}))
        if "against the teacher" in line
    ]
    assert line.startswith(words)


@pytest.mark.parametrize(
    ("noise", "protocol", "words"),
    [
        (None, None, "in PyTorch no faster or slower than can be told (x1.02, noise unknown)"),
        (0.01, "quick", "1.02x in PyTorch (here, quick: indicative)"),
        (0.03, "thorough", "in onnxruntime 11.5x as fast, in PyTorch no faster or slower than can"),
        (0.03, "thorough", "can be told (x1.02, noise 3.0%) (here)"),
    ],
)
def test_no_speed_up_within_the_noise_is_claimed(
    noise: float | None, protocol: Literal["quick", "thorough"] | None, words: str
) -> None:
    report = _report(EVEN, 1.0)
    assert report.comparison
    speedup = Speedup(onnxruntime=11.5, pytorch=1.02)
    found = {
        **{"noise": 0.05, "noise_pytorch": noise, "protocol": protocol, "measured_on": "here"},
        "comparison": report.comparison.model_copy(update={"speedup": speedup}),
    }
    (line,) = [line for line in figures(report.model_copy(update=found)) if "onnxrun" in line]
    assert words in line


@pytest.mark.parametrize(
    ("ratio", "told"), [(1.04, True), (1 / 1.04, True), (1.02, False), (1 / 1.02, False)]
)
def test_slower_is_told_as_faster_is(ratio: float, told: bool) -> None:
    assert beyond(ratio, noise=0.03) is told
    assert not beyond(ratio, noise=None)


@pytest.mark.parametrize(
    ("classes", "imbalance", "shown"),
    [
        (EVEN, 1.5, False),
        (EVEN, 1.6, True),
        (EVEN | {"a": 30}, 1.0, True),
        (EVEN | {"a": 0}, 1.0, False),
    ],
)
def test_what_counts_classes_alike_is_shown_where_they_are_uneven(
    classes: dict[str, int], imbalance: float, shown: bool
) -> None:
    rows = [row[0] for row in table(_report(classes, imbalance))]
    assert ("balanced accuracy" in rows) == shown
    assert ("macro F1" in rows) == shown
    assert "worst class recall" in rows


def test_the_worst_class_is_named_and_cut_where_long() -> None:
    name = "a very long name of a class that nobody reads"
    (row,) = [r for r in table(_report({name: 9, "b": 9}, 1)) if r[0] == "worst class recall"]
    assert row[1] == "0.500 (a very long name of a c…)"
    (row,) = [r for r in table(_report(EVEN, 1)) if r[0] == "worst class recall"]
    assert row[1:] == ["0.500 (a)", "0.500 (a)"]


def test_which_class_lost_most_is_a_line() -> None:
    assert (
        "most lost from teacher to student: class 'x', -4.0 points "
        "(95% CI -9.1 to +1.2, allowing for 10 classes, 54 test images)"
    ) in figures(_report(EVEN, 1))


def test_the_gain_with_classes_alike_is_a_line_where_training_is_uneven() -> None:
    line = "with every class counted alike, gain +2.0 points (95% CI -1.0 to +5.0)"
    assert line in figures(_report(EVEN, 1.6))
    assert line not in figures(_report(EVEN | {"a": 9}, 1.5))


def test_every_class_has_its_row() -> None:
    heads, *rows = class_table(_report(EVEN, 1), ["teacher", "student"])
    assert heads == ["recall of class", "test images", "teacher", "student"]
    assert [row[0] for row in rows] == list(EVEN)
    assert rows[1] == ["b", "54", "0.501", "0.501 (0.250 to 0.750)"]


def test_of_many_classes_the_ten_worst() -> None:
    fifty = {f"c{i}": 9 for i in range(50)}
    assert len(class_table(_report(fifty, 1), ["student"])) == 51
    heads, *rows = class_table(_report({"last": 9} | fifty, 1), ["student"])
    assert heads[0] == "recall of the student's 10 worst of 51 classes"
    assert [row[0] for row in rows] == ["last", *(f"c{i}" for i in range(9))]


def test_bars_in_names_do_not_break_the_table() -> None:
    text = markdown(_report({"a|b": 9, "c": 9}, 1))
    assert "| a\\|b | 9 |" in text
    assert "0.500 (a\\|b)" in text


# Ensembles and chains -----------------------------------------------------------------------------


def _ensemble(gain: float, low: float, kept: float | None, ratio: float = 5) -> EnsembleComparison:
    ends = {f"{key}_ci95": Range(low=-0.01, high=0.02) for key in ("gap_to_ensemble",)}
    return EnsembleComparison(
        members=5,
        best=0,
        gain_over_single=gain,
        gain_over_single_ci95=Range(low=low, high=0.021),
        gap_kept=kept,
        gap_to_ensemble=-0.005,
        gap_to_single=0.007,
        gap_to_single_ci95=Range(low=0.001, high=0.013),
        agreement_with_ensemble=0.95,
        agreement_with_single=0.93,
        agreement_with_members=0.92,
        kl_to_ensemble=0.1,
        kl_to_single=0.2,
        kl_to_members=0.3,
        closer_to=CloserTo(accuracy="undecided", agreement="ensemble", kl="single"),
        params_ratio=ratio,
        macs_ratio=None,
        **ends,
    )


@pytest.mark.parametrize(
    ("ensemble", "line"),
    [
        (
            _ensemble(0.012, 0.003, 0.6),
            "the ensemble of 5 is 1.2 points ahead of its best member (95% CI +0.3 to +2.1); "
            "the student kept 60% of that, at 1/5 of the parameters",
        ),
        (
            _ensemble(0.012, -0.001, -0.2, ratio=0.5),
            "the ensemble of 5 is 1.2 points ahead of its best member (95% CI -0.1 to +2.1, which "
            "may be luck); the student kept nothing of that, at 2 times the parameters",
        ),
        (
            _ensemble(-0.002, -0.01, None),
            "the ensemble of 5 is not ahead of its best member: -0.2 points "
            "(95% CI -1.0 to +2.1); the student has 1/5 of its parameters",
        ),
    ],
)
def test_what_the_student_kept_is_a_sentence(ensemble: EnsembleComparison, line: str) -> None:
    first, accuracy, answers = ensemble_lines(ensemble, [])
    assert first == line
    assert accuracy.endswith("+1.3): these images cannot tell to which it is nearer")
    assert answers.endswith("as a member's on 92.0% on average: nearer the ensemble")


def test_with_an_ensemble_the_comparison_speaks_of_it() -> None:
    report = _report(EVEN, 1)
    comparison = report.comparison
    assert comparison is not None
    assert "teacher" in " ".join(figures(report))
    models = report.models | {"ensemble": report.models["teacher"]}
    update = {"comparison": comparison.model_copy(update={"ensemble": _ensemble(0.02, 0.01, 1)})}
    report = report.model_copy(update=update | {"models": models})
    lines = figures(report)
    assert not any("teacher" in line for line in lines)
    assert any(line.startswith("most lost from ensemble to student") for line in lines)
    assert any("against the ensemble, agreement" in line for line in lines)


def test_the_columns_go_from_the_teachers_down() -> None:
    part = ModelPart(name="m", params=7)
    names = ("student", "assistant_1", "baseline", "teacher", "assistant_2", "ensemble")
    report = Report(run="r", model_sha256="0", models=dict.fromkeys(names, part))
    assert roles(report) == [
        *("ensemble", "teacher", "assistant_1", "assistant_2", "student", "baseline")
    ]
    assert heads(report)[:3] == ["ensemble", "best teacher", "assistant 1"]
    alone = Report(run="r", model_sha256="0", role="assistant", models={"student": part})
    assert heads(alone) == ["assistant"]


# Early exits -------------------------------------------------------------------------------------


def _with_exits(**accuracies: float) -> Report:
    parts = {
        role: ModelPart(name="m", params=1000 * i, macs=10**6 * i, accuracy=accuracy)
        for i, (role, accuracy) in enumerate(accuracies.items(), 1)
    }
    return Report(run="r", model_sha256="0", models=parts)


def test_accuracy_against_cost_of_each_exit() -> None:
    report = _with_exits(exit_10=0.8, exit_2=0.72, baseline=0.85, student=0.9)
    assert exit_table(report) == [
        ["exit", "parameters", "MACs", "accuracy", "of the deepest's accuracy"],
        ["exit 2", "2.00 k", "2.00 M", "0.7200", "80.0%"],
        ["exit 10", "1.00 k", "1.00 M", "0.8000", "88.9%"],
        ["the deepest: student", "4.00 k", "4.00 M", "0.9000", "100.0%"],
    ]
    assert "| exit 2 | 2.00 k | 2.00 M | 0.7200 | 80.0% |" in markdown(report)


def test_a_model_without_exits_has_no_such_table() -> None:
    assert exit_table(_with_exits(student=0.9, baseline=0.8)) == []
    assert "deepest" not in markdown(_with_exits(student=0.9))
