"""What kd writes into the folder of its images is no class, and nobody is told to remove it."""

import shutil
from pathlib import Path

import pytest
from house import TEACHER, House, kd, kd_ok

from kdcli.data.open import open_source

SHORT = ("--set", "train.epochs=1", "--set", "train.batch_size=32")


def test_runs_made_inside_the_images_are_left_out(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cd photos; kd train test_resnet --data .`, twice, and measured."""
    photos = tmp_path / "photos"
    shutil.copytree(pictures, photos)
    monkeypatch.chdir(photos)
    monkeypatch.delenv("KD_RUNS", raising=False)
    kd_ok("train", TEACHER, "--data", ".", *SHORT)
    answer = kd_ok("train", TEACHER, "--data", ".", *SHORT)
    assert "finished earlier, nothing to train" in answer.err
    assert "left out, as kd wrote it: runs/" in answer.err
    kd_ok("evaluate")
    kd_ok("train", TEACHER, "--data", ".", *SHORT, "--out", "mine", "--seed", "1")
    answer = kd("train", TEACHER, "--data", ".", "--dry-run")
    assert "left out, as kd wrote it: mine/, runs/" in answer.err
    Path("there").mkdir()  # as by `kd export --out there`
    for name in ("model.onnx", "labels.txt", "predict.py", "bench.py"):
        Path("there", name).touch()
    answer = kd("evaluate")
    assert answer.code == 3
    assert "kd wrote it (bench.py, labels.txt, model.onnx and 1 more): keep it" in answer.err


def test_runs_of_another_time_are_called_what_they_are(small: House, pictures: Path) -> None:
    photos = small.path.parent / "photos"
    shutil.copytree(pictures, photos)
    shutil.copytree(small.path, photos / "runs")
    answer = kd("train", TEACHER, "--data", str(photos), "--dry-run")
    assert answer.code == 3
    assert "photos/runs: a class without training images" in answer.err
    assert "kd wrote it (" in answer.err
    assert f"mv {photos}/runs SOMEWHERE" in answer.err
    assert "remove" not in answer.err


def test_a_class_may_be_called_runs(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "photos")
    (tmp_path / "photos" / "zero").rename(tmp_path / "photos" / "runs")
    assert open_source(str(tmp_path / "photos")).classes == ("one", "runs", "two")
