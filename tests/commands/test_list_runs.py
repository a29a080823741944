"""`kd list runs`: what came of each run, best first."""

import json
import os

import pytest
from house import House, kd_ok


def test_what_the_report_knows_stands_beside_the_run(finished: House) -> None:
    report = json.loads((finished.student / "report.json").read_text("utf-8"))
    rows = {one["run"]: one for one in kd_ok("list", "runs", "--json").document["runs"]}
    student = rows[str(finished.student)]
    assert student["test_accuracy"] == report["models"]["student"]["accuracy"]
    assert student["verdict_code"] == report["comparison"]["verdict_code"]
    assert student["params"] == report["models"]["student"]["params"]
    assert student["file_bytes"] == report["exports"][0]["bytes"]
    assert student["latency_ms"] == report["exports"][0]["latency_ms"]["p50"]
    teacher = rows[str(finished.teacher)]
    assert (teacher["test_accuracy"], teacher["verdict_code"]) == (None, None)
    screen = kd_ok("list", "runs").out
    assert f"{student['test_accuracy']:.4f}" in screen
    assert report["comparison"]["verdict_code"] in screen


@pytest.mark.parametrize("by", ["val_accuracy", "test_accuracy", "bytes", "latency_ms"])
def test_the_best_come_first_and_who_has_none_last(finished: House, by: str) -> None:
    runs = kd_ok("list", "runs", "--sort", by, "--json").document["runs"]
    values = [one["training"].get(by) if by == "val_accuracy" else one[by] for one in runs]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=by.endswith("accuracy"))
    assert values[: len(known)] == known


def test_a_report_of_an_earlier_model_or_none_at_all_says_nothing(finished: House) -> None:
    def accuracies() -> set[float | None]:
        rows = kd_ok("list", "runs", "--json").document["runs"]
        return {one["test_accuracy"] for one in rows}

    assert accuracies() != {None}
    place = finished.student / "report.json"
    later = place.stat().st_mtime + 10
    os.utime(finished.student / "model.pt", (later, later))
    assert accuracies() == {None}
    place.write_text("{", "utf-8")
    os.utime(place, (later + 10, later + 10))
    assert accuracies() == {None}
