"""report.html: what is on it, whatever names are called and however much there is."""

import re
from dataclasses import replace
from typing import Any

import pytest

from kdcli.report.comparison import Comparison
from kdcli.report.model import LatencyMs, ModelPart, Percentiles, Range
from kdcli.report.page.facts import (
    Answer,
    Bin,
    Confusion,
    Curve,
    Differing,
    Facts,
    SeedGain,
    Shares,
    Tile,
    Wrong,
)
from kdcli.report.page.page import LARGEST, draw
from kdcli.report.page.svg import Scale, spanning
from kdcli.report.schema import DataPart, Report

EVIL = "<script>alert(1)</script>"
CLASSES = (EVIL, 'a"b', "Käse & Brot")
CI = Range(low=0.4, high=0.6)


def _part(name: str, accuracy: float, **more: Any) -> ModelPart:
    time = Percentiles(p50=1.5, p90=2.5)
    return ModelPart(
        name=name,
        params=1234,
        accuracy=accuracy,
        accuracy_ci95=CI,
        recall=dict.fromkeys(CLASSES, accuracy),
        ece=0.125,
        file_bytes=4321,
        latency_ms=LatencyMs(pytorch=time, onnxruntime=time),
        **more,
    )


def _report(**more: Any) -> Report:
    comparison = Comparison(
        gain=0.0123,
        gain_ci95=Range(low=-0.01, high=0.03),
        p_value=0.4,
        detectable_gain=0.02,
        seeds=2,
        verdict_code="undecided",
    )
    parts = {"student": 0.5123, "baseline": 0.5, "teacher": 0.7654}
    return Report(
        run="r",
        model_sha256="0",
        data=DataPart(name=EVIL, is_default=0, classes=3, test_images=9),
        models={role: _part(f"{role}_net", value) for role, value in parts.items()},
        comparison=comparison,
        verdict=f"Undecided: {EVIL}",
        notes=[EVIL],
        **more,
    )


def _tile(picture: str = "data:,") -> Tile:
    return Tile(picture, EVIL, EVIL, (Answer("student", EVIL, 0.875, False),))


def _facts() -> Facts:
    return Facts(
        gains=(SeedGain(7, 0.031, CI), SeedGain(8, -0.01, CI)),
        curves=(Curve("student", 7, (1, 2), (0.1, 0.2), (0.3, 0.4)),),
        shares=Shares((1, 2), {EVIL: (0.25, 0.4), "task": (0.75, 0.6)}),
        reliability={"student": (Bin(0.9, 0.5, 1.0),)},
        confusion=Confusion(CLASSES, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (None,) * 3)),
        differing=Differing(2, 1, (_tile(),)),
        wrong=Wrong(3, (_tile(),)),
    )


def test_names_stay_text() -> None:
    html = draw(_report(), _facts()).html
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 8
    assert 'a"b' not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_it_asks_for_nothing() -> None:
    html = draw(_report(), _facts()).html
    assert not re.findall(r"""(?:src|href)="(?!data:)|url\(|@import|<link(?! rel="icon")""", html)


def test_what_stands_there_is_the_records() -> None:
    html = draw(_report(), _facts()).html
    for words in ("0.5123", "0.7654", "student_net", "1.50 / 2.50 ms", "+1.2 (-1.0 to +3.0)"):
        assert words in html, words
    assert "seed 7" in html
    assert "+3.1 (+40.0 to +60.0)" in html


def test_what_is_not_known_is_said() -> None:
    part = ModelPart(name="m", params=7)
    page = draw(Report(run="r", model_sha256="0", models={"student": part}), Facts())
    assert len(page.lacking) == len(page.sections) - 1, "all but the models themselves"
    assert all(why in page.html for why in page.lacking.values())
    assert "Not evaluated yet." in page.html
    assert "<svg" not in page.html


@pytest.mark.parametrize("gone", ["gains", "curves", "reliability", "confusion", "differing"])
def test_a_part_that_is_missing_hinders_no_other(gone: str) -> None:
    facts = replace(_facts(), **{gone: None}, lacking={gone: "the dog has eaten it"})
    page = draw(_report(), facts)
    assert list(page.lacking.values()).count("The dog has eaten it.") == 1
    assert len(page.lacking) == len(draw(_report(), _facts()).lacking) + 1


def test_a_page_is_never_larger_than_a_megabyte() -> None:
    tiles = (_tile("data:image/png;base64," + "A" * 70_000),) * 12
    facts = replace(_facts(), differing=Differing(12, 0, tiles), wrong=Wrong(12, tiles))
    page = draw(_report(), facts)
    assert LARGEST / 2 < len(page.html.encode()) <= LARGEST
    assert "1 MB" in page.lacking["Surely wrong"]


def test_many_classes_stay_few_rows() -> None:
    many = {f"class {i} {'long' * 20}": 0.1 + i / 2000 for i in range(1000)}
    report = _report()
    models = {r: p.model_copy(update={"recall": many}) for r, p in report.models.items()}
    page = draw(report.model_copy(update={"models": models}), _facts())
    assert len(page.html.encode()) < 100_000
    assert "Of 1,000 classes" in page.html


def test_scales_have_round_ticks_and_hold_what_they_span() -> None:
    assert Scale(0.0, 1.0, 0, 10).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert Scale(90, 5100, 0, 10, log=True).ticks() == pytest.approx(
        [100, 200, 500, 1000, 2000, 5000]
    )
    for values in ([3.0], [0.0], [1.0, 1.0], [-2.0, 5.0]):
        scale = spanning(values, 0, 100)
        assert all(0 < scale(value) < 100 for value in values)
        assert scale.ticks()
