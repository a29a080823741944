"""Whoever is compared is given the same work: by what is fed and what is in the graph, no clock."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest
from house import House, kd, kd_ok

from kdcli.core.latency import Latency, expected
from kdcli.deploy import cost_comparison
from kdcli.report.export import Export, ParityPart
from kdcli.report.file import Conditions, put_export
from kdcli.report.model import LatencyMs, ModelPart, Percentiles
from kdcli.report.schema import Report

RESIZED = ("--input", "pixels", "--resize")
FRONT, CORE, IN_PYTORCH = 10.0, 1.0, 3.0


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, ...]]:
    """A file takes 1 ms, and with a Resize in front 10 ms for each 32 x 32 pixels more; hands out
    the shape that each was fed."""
    opened = cost_comparison.open_session
    resizes: dict[int, bool] = {}
    fed: dict[str, tuple[int, ...]] = {}

    def open_session(path: Path, threads: int) -> Any:
        session = opened(path, threads)
        resizes[id(session)] = any(one.op_type == "Resize" for one in onnx.load(path).graph.node)
        return session

    def latency(calls: dict[tuple[str, str], Callable[[], object]], **_: Any) -> dict[Any, Any]:
        found = {}
        for (by, name), call in calls.items():
            assert isinstance(call, partial)
            ms = IN_PYTORCH
            if by == "onnxruntime":
                fed[name] = call.args[0].shape
                pixels = fed[name][1] * fed[name][2] / 32**2
                ms = CORE + (FRONT * pixels if resizes[id(call.func)] else 0.0)
            found[by, name] = Latency(ms, ms, ms, ms, 100, (ms,) * 5)
        return found

    monkeypatch.setattr(cost_comparison, "open_session", open_session)
    monkeypatch.setattr(cost_comparison, "latency", latency)
    return fed


def test_all_are_fed_the_same_image(finished: House, by_hand: dict[str, Any]) -> None:
    """The same graph in front, the same source image: as fast as each other."""
    document = kd_ok("export", finished.student, *RESIZED, "--json").document
    assert set(by_hand.values()) == {(1, 32, 32, 3)}
    assert document["comparison"]["speedup"] == {"pytorch": 1.0, "onnxruntime": 1.0}
    for part in document["models"].values():
        assert part["latency_ms"]["onnxruntime"]["p50"] == CORE + FRONT
    assert (
        kd("evaluate", finished.student, "--min", "comparison.speedup.onnxruntime=1.01").code == 8
    )


def test_an_ensemble_prepares_its_image_once(
    finished: House, by_hand: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    three = {"ensemble": Counter({finished.teacher / "model.pt": 3})}
    monkeypatch.setattr(cost_comparison, "files_beside", lambda *_: three)
    found = kd_ok("export", finished.student, *RESIZED, "--json").document["models"]["ensemble"]
    assert found["latency_ms"]["onnxruntime"]["p50"] == FRONT + 3 * CORE
    assert found["latency_ms"]["pytorch"]["p50"] == 3 * IN_PYTORCH


@pytest.mark.slow
def test_whom_an_old_opset_cannot_resize_for_is_timed_in_another(
    finished: House, by_hand: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The student takes its images as they are, the teacher would have to enlarge them."""
    loaded = cost_comparison.load

    def larger(file: Path) -> Any:
        found = loaded(file)
        return replace(found, args=replace(found.args, input_size=64))

    monkeypatch.setattr(cost_comparison, "load", larger)
    answer = kd_ok("export", finished.student, "--input", "pixels", "--opset", "17")
    assert "timed in torch's own opset" in answer.err


def test_no_time_of_an_earlier_export_is_compared() -> None:
    """Whoever was not timed beside the student has no time: it may be another machine's."""

    def part(ms: float) -> ModelPart:
        time = Percentiles(p50=ms, p90=ms)
        return ModelPart(
            name="m", params=1, file_bytes=1, latency_ms=LatencyMs(pytorch=time, onnxruntime=time)
        )

    parity = ParityPart(max_abs=0, top1_changed=0, images=1, synthetic=True)
    export = Export(
        **{"path": "m.onnx", "sha256": "0" * 64, "opset": 18, "bytes": 1, "accuracy": None},
        parity=parity,
        latency_ms=Percentiles(p50=1, p90=1),
    )
    report = Report(run="r", model_sha256="0" * 64)
    for models in ({"student": part(1.0), "teacher": part(9.0)}, {"student": part(2.0)}):
        report = put_export(report, models, [export], Conditions("here"))
    assert report.models["student"].latency_ms == part(2.0).latency_ms
    assert report.models["teacher"].latency_ms is None
    assert report.models["teacher"].params == 1


@pytest.mark.parametrize(
    ("mean", "bounds", "runs"),
    [
        (0.001, (2.0, 100, 500, 3.0), 500),  # quick ones: as many as are wanted
        (0.01, (2.0, 100, 500, 3.0), 200),  # 2 s
        (0.05, (2.0, 100, 500, 3.0), 100),  # slow: 5 s, for 100 runs
        (0.1, (2.0, 100, 500, 3.0), 60),  # patience ends at 6 s
        (1.0, (2.0, 100, 500, 3.0), 30),  # the fewest
        (1.0, (60.0, 1024, None, float("inf")), 1024),
    ],
)
def test_how_many_runs_will_be_enough(
    mean: float, bounds: tuple[float, int, int | None, float], runs: int
) -> None:
    assert expected(mean, *bounds) == runs
