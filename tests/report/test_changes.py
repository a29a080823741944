"""`--max-drop` and `--max-ratio`: limits on what changed since a release; junit and summary."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from kdcli.core.errors import UsageError
from kdcli.report.against import AgainstPart, BeforeNow, Flip, Flips
from kdcli.report.gates import Checked, check_gates, missed, parse_gates
from kdcli.report.junit import junit
from kdcli.report.markdown_text import code
from kdcli.report.model import ModelPart, Range
from kdcli.report.schema import Report
from kdcli.report.summary import summary

NASTY = "Äpfel <b>&|`x`"


def _report(accuracy: float | None, params: int = 100, **more: Any) -> Report:
    student = ModelPart(name="m", params=params, accuracy=accuracy, recall={NASTY: 0.5})
    return Report(run="r", model_sha256="0", models={"student": student}, **more)


def _against(gain: float = 0.0) -> AgainstPart:
    nothing = BeforeNow(before=None, now=None, ratio=None, why="not timed")
    return AgainstPart(
        release="v1",
        name="m",
        same_model=0,
        test_images=200,
        seeds=1,
        accuracy=0.95,
        gain=gain,
        gain_ci95=Range(low=gain - 0.01, high=gain + 0.02),
        p_value=0.5,
        detectable_gain=None,
        flips=Flips(count=1, fixed=0, images=[Flip(image="a|b.png", label=NASTY, now="x")]),
        classes_lost=[],
        params=BeforeNow(before=100, now=110, ratio=1.1),
        macs=nothing,
        file_bytes=nothing,
        latency_ms=nothing,
    )


def _held(drops: tuple[str, ...] = (), ratios: tuple[str, ...] = (), now: float = 0.945) -> Any:
    gates = parse_gates((), (), drops, ratios, release="v1")
    report = _report(now, against=_against(now - 0.95))
    return check_gates(gates, report, _report(0.95))


@pytest.mark.parametrize(
    ("text", "now", "passed"),
    [
        ("student.accuracy=0.005", 0.945, True),  # though 0.95 - 0.945 is more by the last bit
        ("student.accuracy=0.5%", 0.945, True),
        ("student.accuracy=0.4%", 0.945, False),
        ("student.accuracy=0", 0.95, True),
        ("student.accuracy=-1%", 0.955, False),  # it must rise by a point
        ("student.accuracy=-1%", 0.96, True),
    ],
)
def test_a_drop_is_absolute(text: str, now: float, passed: bool) -> None:
    (found,) = _held((text,), now=now)
    assert found.passed == passed
    assert (found.before, found.now) == (0.95, now)
    assert found.ci95.low <= found.value <= found.ci95.high


def test_a_ratio_is_new_over_old_and_costs_are_those_of_both_side_by_side() -> None:
    params, times, others = _held(
        ratios=(
            "student.params=1.05",
            "student.latency_ms.onnxruntime.p50=2",
            "student.latency_ms.pytorch.p50=2",
        )
    )
    assert params.value == pytest.approx(1.1)
    assert not params.passed
    assert (times.value, times.passed, times.why) == (None, False, "not timed")
    assert "times of two hours are not compared" in others.why


def test_a_release_that_lacks_the_number_is_never_passed() -> None:
    gates = parse_gates((), (), ("student.ece=0.1", "teacher.accuracy=0.1"), release="v1")
    found = check_gates(gates, _report(0.9, against=_against()), _report(0.9))
    assert [one.passed for one in found] == [False, False]
    assert "this run has no teacher" in found[1].why
    error = missed(found)
    assert error is not None
    assert "the drop of models.teacher.accuracy is null: of the release" in error.what


@pytest.mark.parametrize(
    ("drops", "ratios", "words"),
    [
        (("student.acuracy=0.1",), (), "did you mean 'student.accuracy'"),
        (("student.accuracy=5",), (), "one point is 0.01"),
        (("student.params=5%",), (), "an amount, no fraction"),
        (("against.gain=0",), (), "a change already"),
        ((), ("student.accuracy=1",), "is for amounts"),
        ((), ("student.params=-1",), "never negative"),
        ((), ("student.params",), "as in --max-ratio student.params=1.1"),
    ],
)
def test_what_cannot_be_a_limit_on_a_change(drops: Any, ratios: Any, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        parse_gates((), (), drops, ratios, release="v1")


@pytest.mark.parametrize("kind", ["drop", "ratio", "max"])
def test_changes_need_a_release(kind: str) -> None:
    given = {"drop": "student.accuracy=0", "ratio": "student.params=1", "max": "against.gain=0"}
    texts = {one: (given[one],) if one == kind else () for one in given}
    with pytest.raises(UsageError, match="--against RELEASE"):
        parse_gates((), texts["max"], texts["drop"], texts["ratio"])


def _named() -> list[Checked]:
    gates = parse_gates((f"student.recall.{NASTY}=0.9",), (), ("student.accuracy=1%",), release="v")
    return check_gates(gates, _report(0.95, against=_against()), _report(0.95))


def test_junit_has_a_case_for_each_gate() -> None:
    root = ElementTree.fromstring(junit(_named(), f"run {NASTY} \x00\x1b\ufffe"))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    lost, held = root.iter("testcase")
    assert lost.get("name") == f"min models.student.recall.{NASTY}=0.9"
    (failure,) = lost
    assert "value 0.5, limit at least 0.9" in (failure.get("message") or "")
    assert [part.tag for part in held] == ["system-out"]
    assert "95% interval" in (held[0].text or "")


def test_a_summary_is_short_and_names_in_it_are_no_markdown() -> None:
    text = summary(_report(0.95, against=_against()), _named(), "run <x>")
    assert text.startswith("### 1 of 2 gates missed: `run <x>`")
    assert len(text) < 2000
    assert "Cannot be told from v1" in text
    assert code(NASTY) in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {6, 7}
