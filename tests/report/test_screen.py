"""What a screen shows of a report."""

import pytest

from kdcli.report.schema import Report
from kdcli.report.screen import ROWS, WIDTH, curve, gain_bar, overview

HALF = "-" * (WIDTH // 2 - 1)


@pytest.mark.parametrize(
    ("ends", "drawn"),
    [
        ((-0.085, -0.057, -0.032), "-10 |   (-----o----)     :                    | +10 points"),
        ((0.0, 0.0, 0.0), "-1 |                    o                    | +1 points"),
        (
            (-2.0, 0.0, 2.0),
            f"-100 |({'-' * (WIDTH // 2 - 1)}o{'-' * (WIDTH // 2 - 1)})| +100 points",
        ),
    ],
)
def test_an_interval_as_a_bar(ends: tuple[float, float, float], drawn: str) -> None:
    assert gain_bar(*ends) == drawn


def test_a_curve_is_as_wide_as_there_is_room() -> None:
    assert curve([0.1, 0.9]) == "▁█"
    assert curve([0.5]) == ""
    assert curve([0.5, 0.5]) == "▁▁"
    long = curve([i / 1000 for i in range(1000)], width=30)
    assert len(long) <= 30
    assert long[-1] == "█", "the last value is always there"
    assert list(long) == sorted(long)


def test_an_overview_has_a_row_per_model_and_no_empty_column() -> None:
    parts = {role: {"name": "m", "params": 1000} for role in ("student", "teacher")}
    parts["student"]["accuracy"] = 0.5
    heads, rows = overview(Report.model_validate({"run": "r", "model_sha256": "", "models": parts}))
    assert heads == ["", "model", "accuracy", "params"]
    assert rows == [["teacher", "m", "-", "1.00k"], ["student", "m", "0.5000", "1.00k"]]
    assert ROWS <= 10
