"""`kd report`, and the page that evaluate and export leave."""

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from house import House, kd, kd_ok, save_untrained

from kdcli.evaluation import predictions
from kdcli.evaluation.page_facts import write
from kdcli.report.page.page import LARGEST


def _page(run: Path) -> str:
    return (run / "report.html").read_text("utf-8")


def _record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "report.json").read_text("utf-8"))
    return found


def test_evaluate_and_export_leave_a_whole_page(finished_once: House) -> None:
    page, record = _page(finished_once.student), _record(finished_once.student)
    assert record["verdict"] in unescape(page)
    for part in record["models"].values():
        ends = part["accuracy_ci95"]
        for figure in (
            f"{part['accuracy']:.4f}",
            f"{ends['low']:.3f} to {ends['high']:.3f}",
            f"{part['nll']:.3f}",
            f"{part['latency_ms']['onnxruntime']['p50']:.2f}",
        ):
            assert figure in page
    (export,) = record["exports"]
    assert f"{export['accuracy']:.4f}" in page
    shares = [100 * term["share_of_gradient"] for term in record["models"]["student"]["terms"]]
    assert sum(shares) == pytest.approx(100)
    assert all(f"{share:.1f}%" in page for share in shares)
    assert "kd distill --teacher" in page
    assert len(page.encode()) < LARGEST / 2
    assert 'class="lacking"' not in page


def test_it_is_drawn_anew_elsewhere(
    finished_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KD_RUNS", str(finished_once.path))  # where its baseline is found
    out, old = tmp_path / "new.html", _page(finished_once.student)
    found = kd_ok("report", finished_once.student, "--out", out, "--json").document
    assert found["file"] == str(out)
    assert found["bytes"] == out.stat().st_size
    assert found["lacking"] == {}
    assert found["sections"][0] == "Models"
    drawn, before = (text.partition('id="story"')[0] for text in (out.read_text("utf-8"), old))
    assert drawn == before
    said = kd_ok("report", finished_once.student, "--out", tmp_path).out
    assert f"page: {tmp_path / 'report.html'}" in said


def test_commands_that_failed_are_none_that_repeat_it(finished: House) -> None:
    run = finished.student
    assert kd("export", run, "--int8", "--out", run / "none.onnx", "--data", run).code != 0
    kd_ok("report", run)
    _, _, told = _page(run).partition('class="commands"')
    commands = told[: told.index("</pre>")].split("kd ")[1:]
    assert [command.split()[0] for command in commands] == ["distill", "evaluate", "export"]
    assert "failed after" in (run / "run.log").read_text("utf-8")


def test_answers_to_an_image_are_those_that_are_kept(finished_once: House) -> None:
    """Of the tile that the student is surest of, and wrong."""
    with np.load(finished_once.student / "predictions.npz") as kept:
        logits, labels, ids = kept["student"][0].astype(float), kept["labels"], kept["ids"]
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    wrong = np.flatnonzero(shares.argmax(1) != labels)
    surest = wrong[shares[wrong].max(1).argmax()]
    _, _, behind = _page(finished_once.student).partition('id="wrong"')
    tile = behind[: behind.index("</figure>")]
    assert f'title="{ids[surest]}"' in tile
    assert f"✗ {shares[surest].argmax()}" in tile
    assert f"{100 * shares[surest].max():.0f}%" in tile


@pytest.fixture
def on_a_folder(small: House, pictures: Path, tmp_path: Path) -> tuple[Path, Path]:
    """An evaluated student, and a copy of its images."""
    kd_ok("evaluate", small.student)
    return small.student, shutil.copytree(pictures, tmp_path / "moved")


def test_images_that_are_gone_are_said_so_or_found_elsewhere(
    on_a_folder: tuple[Path, Path],
) -> None:
    run, moved = on_a_folder
    assert 'id="differing"' in _page(run)
    text = (run / "run.yaml").read_text("utf-8")
    place = re.search(r"location: (.*)", text)
    assert place
    (run / "run.yaml").write_text(text.replace(place[1], str(moved / "nowhere")))
    lacking = kd_ok("report", run, "--json").document["lacking"]
    assert {"Surely wrong", "Where they look"} <= set(lacking)
    assert "gone" in lacking["Surely wrong"]
    again = kd_ok("report", run, "--data", moved, "--json").document
    assert "Surely wrong" not in again["lacking"]
    assert kd("report", run, "--data", moved / "zero").code == 3


def test_a_page_that_fails_costs_no_result(
    on_a_folder: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = on_a_folder

    def fail(*_: object) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(write, "gather", fail)
    answer = kd_ok("evaluate", run)
    assert "not drawn (no room); kd report tries again" in answer.err
    assert _record(run)["comparison"]
    assert not (run / "report.html").exists(), "that of earlier figures is gone"
    assert kd("report", run).code == 1


def test_a_model_measured_alone(small: House) -> None:
    kd_ok("evaluate", small.teacher)
    found = kd_ok("report", small.teacher, "--json").document
    assert found["lacking"]["Gain over the baseline"] == "There is no baseline to compare with."
    assert "Surely wrong" not in found["lacking"]


def test_what_is_not_there_is_refused(small: House, tmp_path: Path) -> None:
    early = kd("report", small.student)
    assert early.code == 3
    assert "kd evaluate" in early.err
    assert kd("report", save_untrained(tmp_path / "model.pt", ("a", "b"))).code == 2
    kd_ok("evaluate", small.student)
    kept = small.student / "predictions.npz"
    with np.load(kept) as arrays:
        others = dict(arrays) | {"student": -arrays["student"]}
    np.savez(kept, **others)
    lacking = kd_ok("report", small.student, "--json").document["lacking"]
    assert "another evaluation" in lacking["Gain over the baseline"]
    kept.write_bytes(b"PK")
    assert kd("report", small.student).code == 7
    kept.unlink()
    assert "confidence" in "".join(kd_ok("report", small.student, "--json").document["lacking"])


@pytest.mark.slow
def test_a_thousand_classes_make_a_small_page(finished: House) -> None:
    """Logits of images that nobody has: figures come without pictures."""
    random, images, classes = np.random.default_rng(0), 3000, 1000
    labels = random.integers(0, classes, images)
    roles = {}
    for role in ("student", "baseline", "teacher"):
        roles[role] = random.normal(size=(1, images, classes)).astype(np.float32)
        roles[role][0, np.arange(images), labels] += 3
    names = tuple(f"{i:08}.jpg" for i in range(images))
    tested = predictions.Tested(names, labels, np.zeros((images, 2)))
    predictions.keep_predictions(finished.student, tested, roles)
    record = _record(finished.student)
    for role, logits in roles.items():
        record["models"][role]["accuracy"] = float(np.mean(logits[0].argmax(1) == labels))
    record["data"]["test_images_by_class"] = {f"{'long ' * 20}{i}": 3 for i in range(classes)}
    (finished.student / "report.json").write_text(json.dumps(record))
    found = kd_ok("report", finished.student, "--json").document
    assert found["bytes"] < 200_000
    assert "What is taken for what" not in found["lacking"]
    assert "others than those that were answered to" in found["lacking"]["Surely wrong"]


def test_of_several_it_is_what_compare_says(
    finished_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = finished_once
    monkeypatch.chdir(tmp_path)
    runs = [house.student, house.teacher]
    answer = kd_ok("report", *runs, "--against", house.run("baseline-"), "--json")
    found, page = answer.document, (tmp_path / "report.html").read_text("utf-8")
    assert (found["file"], found["lacking"]) == ("report.html", {})
    assert found["runs"] == list(map(str, runs))
    assert found["sentence"] in unescape(page)
    for part in _record(house.student)["models"].values():
        assert f"{part['accuracy']:.4f}" in page
    assert page.count('class="curve tone') == 2 * 3, "curves, and their keys"
    assert "p = " in page
    kd_ok("report", *runs, "--out", "mine.html")
    assert (tmp_path / "mine.html").is_file()
    assert kd("report", *runs, "--no-measure").code == 3
    assert kd("report", *runs, "--out", "plots.svg").code == 2
    assert kd("report", house.student, "--no-measure").code == 2
    assert kd("report", *runs, "--out", house.student).code == 2, "its own page lies there"


def test_the_report_that_is_named_is_there(finished: House) -> None:
    """A record of another model than the run ships has no page."""
    lone = finished.path / "model.pt"
    shutil.copy(finished.student / "model.pt", lone)
    for words in (("evaluate", finished.student), ("export", finished.student), ("export", lone)):
        (line,) = [one for one in kd_ok(*words).out.splitlines() if one.startswith("report: ")]
        assert Path(line.removeprefix("report: ")).is_file(), words
