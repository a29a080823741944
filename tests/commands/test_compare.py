"""`kd compare`: the same images, all pairs, nothing trained, nothing written."""

import csv
import json
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from house import House, kd, kd_ok, on_pictures


@pytest.fixture
def report(finished_once: House) -> dict:
    return json.loads((finished_once.student / "report.json").read_text("utf-8"))


def test_student_teacher_and_baseline_are_what_evaluate_found(
    finished_once: House, report: dict
) -> None:
    house = finished_once
    roles = {
        "student": house.student,
        "teacher": house.teacher,
        "baseline": house.run("baseline-"),
    }
    before = {path: path.stat().st_mtime_ns for path in finished_once.path.rglob("*")}
    answer = kd_ok("compare", *roles.values(), "--json")
    assert "2 models to be asked about the test images" in answer.err
    found = answer.document
    rows = {one["role"]: one for one in found["candidates"]}
    for role, run in roles.items():
        assert rows[role]["run"] == str(run)
        for key in ("accuracy", "params", "macs"):
            assert rows[role][key] == pytest.approx(report["models"][role][key], abs=1e-12), key
        assert rows[role]["latency_ms"] > 0
    compared = report["comparison"]
    assert found["against"] == str(roles["baseline"])
    assert rows["student"]["gain"] == pytest.approx(compared["gain"])
    assert rows["student"]["gain_ci95"] == pytest.approx(compared["gain_ci95"])
    assert rows["student"]["distillation_score"] == pytest.approx(compared["distillation_score"])
    assert rows["student"]["size_reduction"] == pytest.approx(compared["size_reduction"])
    assert len(found["pairs"]) == 3
    assert sorted([found["best"], *found["alike"], *found["behind"]]) == sorted(
        map(str, roles.values())
    )
    after = {path: path.stat().st_mtime_ns for path in finished_once.path.rglob("*")}
    assert after == before, "nothing is trained, nothing is written"


def test_an_exported_file_and_a_report_stand_beside_a_run(
    finished_once: House, report: dict, tmp_path: Path
) -> None:
    file = finished_once.student / "export" / "model.onnx"
    for name in ("report.json", "predictions.npz"):
        shutil.copy(finished_once.student / name, tmp_path / name)
    found = kd_ok(
        "compare", finished_once.student, file, tmp_path / "report.json", "--json"
    ).document
    run, exported, kept = found["candidates"]
    assert exported["accuracy"] == pytest.approx(report["exports"][0]["accuracy"])
    assert exported["file_bytes"] == report["exports"][0]["bytes"]
    assert (exported["role"], kept["latency_ms"]) == ("file", None)
    assert kept["accuracy"] == run["accuracy"]
    assert all(pair["differ"] == 0 for pair in found["pairs"])


def test_of_kept_answers_nothing_is_measured(small: House, tmp_path: Path) -> None:
    kd_ok("evaluate", small.student)
    kept = [small.student / "report.json", tmp_path / "release" / "report.json"]
    kept[1].parent.mkdir()
    for name in ("report.json", "predictions.npz"):
        shutil.copy(small.student / name, kept[1].with_name(name))
    found = kd_ok("compare", *kept, "--no-measure", "--json").document
    assert [one["latency_ms"] for one in found["candidates"]] == [None, None]
    refused = kd("compare", small.student, small.teacher, "--no-measure")
    assert (refused.code, "is not known" in refused.err) == (3, True)
    kept[1].with_name("predictions.npz").write_bytes(b"PK")
    assert kd("compare", *kept).code == 7
    kept[1].with_name("predictions.npz").unlink()
    assert _refusal("compare", *kept) == (2, "no predictions.npz beside it")


def test_runs_that_differ_in_their_seed_alone_are_one_candidate(
    small: House, pictures: Path
) -> None:
    kd_ok(*on_pictures(pictures), "--seed", "1")
    kd_ok(*on_pictures(pictures), "--set", "methods.kd.temperature=2")
    first, second, other = small.runs("kd-")
    seeds = [one for one in (first, second, other) if "-s1-" in one.name]
    words = ("compare", first, second, other, "--json")
    found = kd_ok(*words).document
    by_size = sorted(found["candidates"], key=lambda one: len(one["seeds"]))
    assert [one["seeds"] for one in by_size] == [[0], [0, 1]]
    assert seeds
    assert str(seeds[0]) in by_size[1]["runs"]
    assert by_size[1]["accuracy_sd"] is not None
    assert {one["differs"]["methods.kd.temperature"] for one in by_size} == {"2.0", "4.0"}
    assert set(by_size[0]["differs"]) == {"methods.kd.temperature"}
    alone = kd("compare", *by_size[1]["runs"])
    assert (alone.code, "1 candidate: nothing to compare" in alone.err) == (2, True)


def test_other_test_images_are_refused(small: House, finished_once: House, pictures: Path) -> None:
    assert _refusal("compare", small.student, finished_once.student) == (2, "test images differ")
    assert kd("compare", small.student, small.student / "model.onnx").code == 2
    assert kd("compare", small.student / "model.pt", "nothing-here").code == 2
    fits = kd_ok("compare", small.student, small.teacher, "--data", pictures, "--json").document
    assert fits["test_images"] == 24
    assert kd("compare", small.student, finished_once.student, "--data", pictures).code == 3


def test_tables_for_pages_and_spreadsheets(finished_once: House) -> None:
    words = ("compare", finished_once.student, finished_once.student / "export" / "model.onnx")
    page = kd_ok(*words, "--markdown").out
    assert page.startswith("**")
    assert page.count("\n| ") >= 3
    rows = list(csv.DictReader(StringIO(kd_ok(*words, "--csv").out)))
    assert [row["role"] for row in rows] == ["student", "file"]
    assert 0 < float(rows[0]["accuracy_ci95.low"]) < float(rows[0]["accuracy"])
    assert kd(*words, "--csv", "--json").code == 2
    screen = kd_ok(*words).out
    assert "cannot be told from it" in screen.splitlines()[0]


def test_it_is_drawn_where_it_is_asked_for(finished_once: House, tmp_path: Path) -> None:
    words = ("compare", finished_once.student, finished_once.student / "export" / "model.onnx")
    plot, page = tmp_path / "plot.svg", tmp_path / "page.html"
    answer = kd_ok(*words, "--plot", plot, "--json")
    assert answer.document["plot"] == str(plot)
    assert f"plot: {plot}" in answer.err
    kd_ok(*words, "--plot", page)
    assert plot.read_text("utf-8").startswith("<svg")
    assert "Each against each" in page.read_text("utf-8")
    refused = kd(*words, "--plot", tmp_path / "plot.png")
    assert (refused.code, "FILE.svg" in refused.err, "asked" in refused.err) == (2, True, False)
    assert {one.name for one in tmp_path.iterdir()} == {"plot.svg", "page.html"}


def test_the_survey_is_what_the_reports_say(finished_once: House, report: dict) -> None:
    words = ("compare", finished_once.student, finished_once.teacher, "--survey")
    found = kd_ok(*words, "--json").document["survey"]
    (account,) = found["accounts"]
    assert found["left_out"] == [str(finished_once.teacher)]
    compared = report["comparison"]
    assert account["accuracy_change"] == pytest.approx(-compared["accuracy_drop"])
    assert account["params_reduction"] == pytest.approx(compared["size_reduction"])
    assert account["speedup"] == pytest.approx(compared["speedup"]["onnxruntime"])
    for key in ("macs_reduction", "distillation_score", "gain", "gain_ci95", "verdict_code"):
        assert account[key] == pytest.approx(compared[key]), key
    assert found["mean_score"] == account["distillation_score"]
    assert account["better"] is None, "it is the mean"
    of_size = kd_ok(*words, "--size-priority", "1", "--json").document["survey"]
    assert of_size["mean_score"] == pytest.approx(1 - account["params_reduction"])
    assert "better is below the mean" in kd_ok(*words).out
    assert kd(*words[:-1], "--size-priority", "1").code == 2
    assert (
        kd("compare", finished_once.teacher, finished_once.run("baseline-"), "--survey").code == 3
    )


def _refusal(*words: object) -> tuple[int, str]:
    """The exit code, and the words of the test where they were said."""
    answer = kd(*words)
    known = ("test images differ", "no predictions.npz beside it")
    return answer.code, next((one for one in known if one in answer.err), answer.err)


def test_answers_of_another_evaluation_are_none(finished: House, tmp_path: Path) -> None:
    """A wrong number without a word would be the worst."""
    release = tmp_path / "release"
    release.mkdir()
    for name in ("report.json", "predictions.npz"):
        shutil.copy(finished.student / name, release / name)
    with np.load(release / "predictions.npz") as kept:
        arrays = dict(kept)
    words = ("compare", finished.student, release / "report.json", "--no-measure")
    assert kd(*words).code == 0
    student = arrays["student"]
    for other in (
        student[:, :, ::-1],
        student[:, :, :5],
        np.concatenate([student, student]),
        student[:0],
        student.astype(int),
    ):
        np.savez_compressed(release / "predictions.npz", **{**arrays, "student": other})
        answer = kd(*words)
        assert answer.code == 7, answer.err
    shutil.copy(finished.student / "predictions.npz", release / "predictions.npz")
    record = json.loads((release / "report.json").read_text("utf-8"))
    for key, value in (("accuracy", 2.0), ("params", -1), ("params", 10**30)):
        changed = {**record["models"]["student"], key: value}
        damaged = record | {"models": record["models"] | {"student": changed}}
        (release / "report.json").write_text(json.dumps(damaged), "utf-8")
        assert kd(*words).code == 7
    (release / "report.json").write_text("[" * 100_000, "utf-8")
    assert kd(*words).code == 7


@pytest.mark.slow
def test_a_damaged_log_costs_no_result(finished: House) -> None:
    for damage in (b"\xff\xfe\0", b'{"epoch": "x"}\n', b"[1]\n", b'{"seconds": 1e400}\n'):
        (finished.student / "metrics.jsonl").write_bytes(damage)
        kd_ok("evaluate", finished.student, "--no-train")
        kd_ok("report", finished.student)
