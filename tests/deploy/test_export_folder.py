"""The export folder: what is in it, what it says, and whose files are left alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from house import STUDENT, House, kd, kd_ok

from kdcli import __version__
from kdcli.core.progress import Silent
from kdcli.core.text import size_in_words
from kdcli.data.open import open_source
from kdcli.data.store import open_store
from kdcli.deploy.export_folder import MARK, fill, scripts
from kdcli.report.schema import Report
from kdcli.runs.run import Run


def report_of(run: Path) -> Report:
    return Report.model_validate(json.loads((run / "report.json").read_text("utf-8")))


@pytest.fixture
def exported(finished_once: House, tmp_path: Path) -> tuple[Path, Path, Report]:
    """A folder with a model alone in it, where its report lies, and the report."""
    place = tmp_path / "device"
    place.mkdir()
    shutil.copy(finished_once.student / "export" / "model.onnx", place)
    report = report_of(finished_once.student)
    entry = report.exports[0].model_copy(update={"path": str(place / "model.onnx")})
    return place, finished_once.student, report.model_copy(update={"exports": [entry]})


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_kd_export_leaves_a_folder_that_can_be_copied(finished_once: House) -> None:
    folder = finished_once.student / "export"
    assert names(folder) == {"model.onnx", "labels.txt", "README.md", *scripts()}
    assert (folder / "labels.txt").read_text("utf-8").split() == list("0123456789")
    for name, text in scripts().items():
        assert (folder / name).read_text("utf-8") == text


def test_its_readme(finished_once: House) -> None:
    run = finished_once.student
    entry = report_of(run).exports[0]
    page = (run / "export" / "README.md").read_text("utf-8")
    assert page.startswith(MARK)
    assert f"# {STUDENT}\n\nAn image classifier of 10 classes" in page
    assert "input `images`: float32 (batch, 3, 32, 32), RGB, channels first, normalised: " in page
    assert "output `logits`: float32 (batch, 10)" in page
    assert f"| model.onnx | fp32 | {size_in_words(entry.bytes)} | {entry.accuracy:.4f} | 0." in page
    assert f"{entry.latency_ms.p50:.2f} / {entry.latency_ms.p90:.2f} ms" in page
    assert report_of(run).measured_on in page
    assert f"Made by kd {__version__} from run {run.name}." in page


def test_it_works_where_it_is_copied_to(finished_once: House, tmp_path: Path) -> None:
    """On test images, as evaluate found them."""
    folder = shutil.copytree(finished_once.student / "export", tmp_path / "device")
    store = open_store(open_source("digits").test, 32, Silent())
    with np.load(finished_once.student / "predictions.npz") as kept:
        expected = kept["student"][0][:3].argmax(1)
    for image, digit in zip(store.fetch(np.arange(3)), expected, strict=True):
        np.save(tmp_path / "digit.npy", image.permute(1, 2, 0).numpy())
        line = [sys.executable, "-I", folder / "predict.py", tmp_path / "digit.npy", "--top", "1"]
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.split()[1] == str(digit)


def test_it_is_written_anew_where_it_is_kds(exported: tuple[Path, Path, Report]) -> None:
    folder, beside, report = exported
    fill(folder, beside, "run x", report, Silent())
    (folder / "labels.txt").write_text("outdated\n")
    (folder / "notes.md").write_text("mine")
    fill(folder, beside, "run x", report, Silent())
    assert (folder / "labels.txt").read_text("utf-8").split() == list("0123456789")
    assert (folder / "notes.md").read_text() == "mine"


@pytest.mark.parametrize("name", ["README.md", "labels.txt", "predict.py"])
def test_a_persons_files_are_left_alone(
    name: str, exported: tuple[Path, Path, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, beside, report = exported
    (folder / name).write_text("mine")
    said: list[str] = []
    monkeypatch.setattr(Silent, "warn", lambda self, text: said.append(text))
    fill(folder, beside, "run x", report, Silent())
    assert (folder / name).read_text() == "mine"
    assert names(folder) == {"model.onnx", "labels.txt", "README.md", *scripts()}
    assert [line for line in said if f"{folder / name}: not written by kd" in line] == said != []


def test_another_model_of_the_run_has_a_readme_of_its_own(
    exported: tuple[Path, Path, Report],
) -> None:
    folder, beside, report = exported
    fill(folder, beside, "run x", report, Silent())
    before = (folder / "README.md").read_bytes()
    shutil.copy(folder / "model.onnx", folder / "model.exit_1.onnx")
    entry = report.exports[0].model_copy(update={"path": str(folder / "model.exit_1.onnx")})
    fill(folder, beside, "run x", report.model_copy(update={"exports": [entry]}), Silent())
    assert "--model model.exit_1.onnx" in (folder / "README.exit_1.md").read_text("utf-8")
    assert (folder / "README.md").read_bytes() == before


def test_one_file_is_one_file(
    finished: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kdcli.commands.export.fill", lambda *given: pytest.fail("it was not asked")
    )
    kd_ok("export", finished.student, "--out", tmp_path / "alone" / "small.onnx")
    assert names(tmp_path / "alone") == {"small.onnx"}


def test_again_clears_what_is_kds(finished: House) -> None:
    run = Run(finished.student)
    (run.exports / "mine.txt").write_text("mine")
    run.clear_exports()
    assert names(run.exports) == {"mine.txt"}


def test_a_strangers_model_in_a_named_folder_stays(finished: House, tmp_path: Path) -> None:
    """The name of the file is kd's choice, not the person's."""
    (tmp_path / "model.onnx").write_text("mine")
    answer = kd("export", finished.student, "--out", tmp_path)
    assert answer.code == 2
    assert f"{tmp_path / 'model.onnx'}: there is one, and kd has not written it" in answer.err
    assert (tmp_path / "model.onnx").read_text() == "mine"
