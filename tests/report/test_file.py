"""A record that evaluate and export fill: whose figures stay beside whose costs."""

import json
from pathlib import Path

import pytest

from kdcli import __version__
from kdcli.report.comparison import Comparison
from kdcli.report.export import Export, FoldPart, ParityPart
from kdcli.report.file import Conditions, distillation_score, put_export, write_report
from kdcli.report.model import LatencyMs, ModelPart, Percentiles, Range
from kdcli.report.schema import Report

HERE = Conditions("here")
TIME = Percentiles(p50=1, p90=2)
TIMES = LatencyMs(pytorch=TIME, onnxruntime=TIME)


def _evaluated() -> Report:
    comparison = Comparison(
        gain=0.0,
        gain_ci95=Range(low=0, high=0),
        p_value=1,
        detectable_gain=0.02,
        gap_closed=None,
        accuracy_drop=0.1,
        agreement=0.9,
        size_priority=0.75,
        seeds=1,
        verdict_code="one_seed_even",
    )
    sizes = {"teacher": (100, 0.9), "student": (40, 0.8), "baseline": (20, 0.8)}
    models = {
        role: ModelPart(name=f"the {role}", params=params, accuracy=accuracy)
        for role, (params, accuracy) in sizes.items()
    }
    notes = ["a note"]
    return Report(run="r", model_sha256="0", models=models, comparison=comparison, notes=notes)


def _export(folded: int, path: str = "model.onnx") -> Export:
    parity = ParityPart(max_abs=0, top1_changed=0, images=1, synthetic=False)
    fold = FoldPart(wanted="auto", heads=3, folded=folded, reason="so")
    return Export(
        path=path, sha256="1", opset=18, bytes=9, parity=parity, accuracy=0.7, latency_ms=TIME
    ).model_copy(update={"fold": fold})


def _exported(report: Report, folded: int, path: str, place: Path, **names: str) -> Report:
    """The student costs 20 folded, 40 with its heads."""
    costs = {"teacher": 100, "student": 20 if folded else 40}
    models = {
        role: ModelPart(name=names.get(role, f"the {role}"), params=params, latency_ms=TIMES)
        for role, params in costs.items()
    }
    return write_report(place, put_export(report, models, [_export(folded, path)], HERE))


def test_what_compares_costs_follows_the_folded_file(tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    for folded, size in ((0, 40), (1, 20), (0, 40)):
        found = _exported(_evaluated(), folded, "a", place).comparison
        assert found is not None
        assert found.size_reduction == pytest.approx(1 - size / 100)
        assert found.distillation_score == distillation_score(size, 100, 0.8, 0.9, 0.75)
    assert json.loads(place.read_text("utf-8"))["comparison"]["size_priority"] == 0.75


LARGER = "the student is the student: 2 times the baseline's parameters"
"""With its heads."""


def test_a_note_tells_the_heads_figures_from_the_files_and_goes(tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    kept = _exported(_evaluated(), 0, "a", place)
    assert kept.notes == ["a note", LARGER]
    folded = _exported(kept, 1, "b", place)
    assert folded.notes == [
        "a note",
        "test figures are those of all 3 heads; the folded file's accuracy is exports.1.accuracy",
    ]
    assert write_report(place, folded).notes == folded.notes
    assert _exported(folded, 0, "b", place).notes == ["a note", LARGER]


def test_it_names_the_kd_that_wrote_it_last(tmp_path: Path) -> None:
    earlier = _evaluated().model_copy(update={"kd": "0.0.1"})
    assert write_report(tmp_path / "report.json", earlier).kd == __version__


def test_costs_of_another_model_stay_away(tmp_path: Path) -> None:
    """The best teacher is another one than it was when they were measured."""
    report = _exported(_evaluated(), 0, "a", tmp_path / "report.json", teacher="another")
    assert report.models["teacher"].latency_ms is None
    assert report.models["teacher"].name == "the teacher"
    assert report.models["student"].latency_ms == TIMES
