"""Which quantised file is taken, and whether it is worth it: on numbers made by hand."""

import pytest

from kdcli.core.errors import UsageError
from kdcli.deploy.int8_candidates import choose, worth_leaving_out
from kdcli.deploy.precision_verdict import Beside, verdict
from kdcli.deploy.request import Wanted
from kdcli.evaluation.intervals import Interval
from kdcli.evaluation.significance import Gain
from kdcli.report.export import Export, ParityPart, TriedPart
from kdcli.report.model import Percentiles
from kdcli.report.sentences import worth_lines
from kdcli.report.table import file_table


def tried(accuracy: float, speedup: float, kl: float) -> TriedPart:
    return TriedPart(
        calibration="MinMax", preprocessed=0, accuracy=accuracy, speedup=speedup, kl=kl
    )


# The choice --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "taken"),
    [
        ([tried(0.90, 1.0, 0.1), tried(0.90, 2.0, 0.2)], 1),  # the faster one
        ([tried(0.90, 1.0, 0.1), tried(0.894, 2.0, 0.2)], 0),  # not at any price
        ([tried(0.895, 2.0, 0.2), tried(0.90, 1.0, 0.1)], 0),  # half a point may be lost
        ([tried(0.90, 2.05, 0.2), tried(0.90, 2.0, 0.1)], 1),  # as fast, within the noise
        ([tried(0.90, 2.07, 0.2), tried(0.90, 2.0, 0.1)], 0),
        ([tried(0.80, 3.0, 0.1), tried(0.85, 1.0, 0.3)], 1),  # all lose: the most accurate
        ([tried(0.85, 3.0, 0.2), tried(0.85, 1.0, 0.1)], 1),
    ],
)
def test_the_fastest_of_those_that_lose_little(found: list[TriedPart], taken: int) -> None:
    assert choose(found, accuracy=0.90, noise=0.03) is found[taken]


def test_layers_are_left_out_where_that_saves_accuracy() -> None:
    best = tried(0.88, 2.0, 0.2)
    same, better = tried(0.88, 1.9, 0.1), tried(0.885, 1.8, 0.1)
    assert worth_leaving_out(best, [same, better]) == [better]


# The verdict -------------------------------------------------------------------------------------


def change(gain: float, low: float, high: float = 0.0) -> Gain:
    return Gain(gain, Interval(low, high), 1.0, 0.01, 1)


def beside(**changes: object) -> Beside:
    usual = {"precision": "int8", "bytes_ratio": 3.6, "speedup": 2.9, "noise": 0.03}
    return Beside(**(usual | {"change": change(-0.002, -0.006, 0.001)} | changes))  # type: ignore[arg-type]


def test_faster_and_as_accurate_is_worth_it() -> None:
    found = verdict(beside())
    assert found.worth_it == 1
    assert (found.speedup, found.noise, found.bytes_ratio) == (2.9, 0.03, 3.6)
    assert found.accuracy_change == -0.002
    assert found.reason == (
        "worth it: faster than fp32 (2.90x, noise 3%), accuracy -0.2 points "
        "(95% CI -0.6 to +0.1), 3.6x smaller"
    )


def test_what_is_only_smaller_is_not() -> None:
    found = verdict(beside(speedup=0.98))
    assert found.worth_it == 0
    assert found.reason == (
        "not worth it here: no faster than fp32 by more than the noise (0.98x, noise 3%); "
        "3.6x smaller, which counts only where the size does"
    )
    arm = verdict(beside(speedup=0.5, elsewhere=True))
    assert arm.worth_it == 0
    assert "nobody can tell here" in arm.reason
    mobile = verdict(beside(speedup=0.98, depthwise=True)).reason
    assert "as is common of mobile networks" in mobile
    assert "squeeze-excite" in mobile


@pytest.mark.parametrize(
    ("changes", "worth_it"),
    [
        ({"speedup": 1.03}, 0),  # no more than the noise
        ({"speedup": 1.04}, 1),
        ({"change": change(-0.01, -0.015)}, 1),  # the margin itself
        ({"change": change(-0.011, -0.015)}, 0),
        ({"change": change(-0.005, -0.02)}, 0),  # it may be two points
        ({"change": change(0.02, -0.019, 0.05)}, 1),
        ({"change": None}, 0),
    ],
)
def test_the_rule(changes: dict[str, object], worth_it: int) -> None:
    found = verdict(beside(**changes))
    assert found.worth_it == worth_it
    assert found.reason.startswith("worth it" if worth_it else "not worth it")


def test_another_margin() -> None:
    lost = beside(change=change(-0.03, -0.05))
    assert verdict(lost).worth_it == 0
    assert "more than the 1 allowed" in verdict(lost).reason
    assert verdict(lost, margin=0.03).worth_it == 1


def test_what_nobody_measured_is_not_worth_it() -> None:
    found = verdict(beside(change=None))
    assert found.accuracy_change is None
    assert found.accuracy_change_ci95 is None
    assert "no test images" in found.reason


# Beside each other -------------------------------------------------------------------------------


def export(**fields: object) -> Export:
    usual: dict[str, object] = {
        "path": "export/model.onnx",
        "sha256": "0",
        "opset": 20,
        "bytes": 4_000_000,
        "parity": ParityPart(max_abs=0, top1_changed=0, images=9, synthetic=False),
        "accuracy": 0.9,
        "latency_ms": Percentiles(p50=2.0, p90=2.5),
    }
    return Export.model_validate(usual | fields)


def test_the_files_stand_beside_each_other() -> None:
    small = export(
        path="export/model.int8.onnx", precision="int8", bytes=1_100_000, worth=verdict(beside())
    )
    assert file_table([export()]) == []
    heads, *rows = file_table([export(), small])
    assert [len(row) for row in rows] == [len(heads)] * 2
    assert rows[0][1:] == ["fp32", "4,000,000", "0.9000", "2.00 ms", "-", "-"]
    assert rows[1][-2:] == ["2.90x", "worth it"]
    (line,) = worth_lines([export(), small])
    assert line.startswith("int8: worth it")


def test_an_opset_that_cannot_resize_is_refused_before_any_work():
    with pytest.raises(UsageError, match="--opset 17: cannot resize"):
        Wanted(input="pixels", resize=True, opset=17)
    assert Wanted(input="pixels", opset=17).opset == 17
