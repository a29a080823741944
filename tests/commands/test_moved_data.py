"""`--data NEW`: a run's images where they lie now; and what evaluate would have to train first."""

import shlex
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from house import SMALL_TEACHER, TEACHER, House, kd, kd_ok, on_pictures

from kdcli.commands import evaluate as verb
from kdcli.core.progress import Silent
from kdcli.data.reopen import reopen_data
from kdcli.plan import forecast
from kdcli.plan import missing as finding
from kdcli.plan.missing import missing
from kdcli.runs.find import find
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec


@pytest.fixture
def moved(small: House, pictures: Path, tmp_path: Path) -> House:
    """Its runs were made with images that lay elsewhere."""
    for file in small.path.glob("*/run.yaml"):
        text = file.read_text("utf-8").replace(str(pictures), str(tmp_path / "gone"))
        file.write_text(text, "utf-8")
    return small


@pytest.mark.slow
def test_evaluate_and_export_take_them_from_where_they_lie_now(
    moved: House, pictures: Path, tmp_path: Path
) -> None:
    for answer in (kd("evaluate", moved.student), kd("export", moved.student, "--int8")):
        assert answer.code == 3
        assert f"{tmp_path / 'gone'}" in answer.err
        assert "--data NEW" in answer.err
    answer = kd_ok("evaluate", moved.student, "--data", pictures)
    assert f"kd export {moved.student} --data {pictures}" in answer.out
    assert "plan: baseline test_efficientnet 3 epochs ~" in answer.err
    baseline = yaml.safe_load((moved.run("baseline-") / "run.yaml").read_text("utf-8"))
    assert baseline["spec"]["data"]["location"] == str(pictures), "of a new run"
    answer = kd_ok("export", moved.student, "--data", pictures)
    assert "made-up" not in answer.err + answer.out
    assert f"kd evaluate {moved.student} --data {pictures} --min" in answer.out
    assert str(tmp_path / "gone") in (moved.student / "run.yaml").read_text("utf-8"), "as it was"


def test_what_is_found_again_is_evaluated_where_the_data_lie_now(
    moved: House, pictures: Path
) -> None:
    """As it is printed; by train and inspect, too."""
    answer = kd_ok(*on_pictures(pictures))
    assert "finished earlier" in answer.err
    words = shlex.split(answer.out.partition("next: ")[2].splitlines()[0])
    assert words == ["kd", "evaluate", str(moved.student), "--data", str(pictures)]
    assert "lacks 1 training" in kd(*words[1:], "--no-train").err, "and no data"
    assert f"kd export {moved.student} --data {pictures}" in answer.out
    line = ("train", TEACHER, "--recipe", SMALL_TEACHER, "--data", pictures)
    again = kd_ok(*line).out
    assert f"kd evaluate {moved.teacher} --data {pictures}" in again
    inspected = kd_ok("inspect", moved.teacher, "--data", pictures).out
    assert f" --data {pictures}\n" in inspected


def test_other_images_are_refused(moved: House, pictures: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    shutil.copytree(pictures, fewer)
    next(fewer.rglob("*.png")).unlink()
    for place, words in ((str(fewer), "contents or labels"), ("digits", "of kind digits")):
        for command in ("evaluate", "export"):
            answer = kd(command, moved.student, "--data", place)
            assert answer.code == 3
            assert words in answer.err
    assert kd("evaluate", moved.student, "--data", tmp_path / "nowhere").code == 2
    assert not (moved.student / "export").exists()


def test_a_lone_model_has_no_data(moved: House, pictures: Path, tmp_path: Path) -> None:
    alone = shutil.copy(moved.student / "model.pt", tmp_path / "alone.pt")
    answer = kd("export", alone, "--data", pictures)
    assert answer.code == 2
    assert "no run around it" in answer.err


def test_nothing_is_trained_against_ones_will(small: House) -> None:
    before = small.runs()
    answer = kd("evaluate", small.student, "--no-train", "--seeds", "2")
    assert answer.code == 3
    assert "lacks 3 trainings" in answer.err
    assert "student test_efficientnet (seed 1)" in answer.err
    assert small.runs() == before
    shutil.rmtree(small.teacher)
    found = [(one.role, one.seed) for one in missing(Run(small.student), 1)]
    assert found == [("teacher", 0), ("baseline", 0)]


def test_what_will_be_written_over_is_read_before_the_work(
    small: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small.student / "report.json").write_text('{"schema"')
    monkeypatch.setattr(verb, "reopen_data", None)
    answer = kd("evaluate", small.student)
    assert answer.code == 7
    assert "report.json: not a report of this kd" in answer.err


def test_sixty_seeds_are_looked_up_once_each(small: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Student and baseline; the teacher they share once for all of them."""
    looked: list[str] = []

    def counted(spec: Spec) -> Run | None:
        looked.append(spec.role)
        return find(spec)

    def finished(spec: Spec) -> bool:
        run = counted(spec)
        return run is not None and run.finished

    for module in (finding, forecast):
        monkeypatch.setattr(module, "find", counted)
        monkeypatch.setattr(module, "is_finished", finished)
    lacking = finding.missing(Run(small.student), 60)
    assert len(lacking) == 59 + 60
    assert len(looked) == 59 + 60
    looked.clear()
    monkeypatch.setattr(forecast, "estimate", lambda *_: pytest.fail("not asked for"))
    monkeypatch.setattr(forecast, "_alike", lambda todo: list(todo)[:0])
    source = reopen_data(Run(small.student).spec.data, Silent())
    forecast.foresee_all(lacking, source, torch.device("cpu"), Silent())
    assert looked.count("teacher") == 1
