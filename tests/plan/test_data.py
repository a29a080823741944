"""What is said of data and teachers before anything is trained, and of whom settings reach."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from house import STUDENT, TEACHER, House, kd_ok, save_untrained
from PIL import Image

from kdcli.cli import train as printed

WHO = ("distill", "--teacher", TEACHER, "--student", STUDENT)
MIRRORED = "mirrored at random"


@pytest.fixture(autouse=True)
def _planned(monkeypatch: pytest.MonkeyPatch, empty_house: House) -> None:
    """Only what is said while a job is made."""
    monkeypatch.setattr(printed, "carry_out", lambda *_: None)
    monkeypatch.setattr("kdcli.cli.distill.carry_out", lambda *_: None)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uneven")
    rng = np.random.default_rng(0)
    for name, count in (("six", 60), ("seven", 8)):
        (folder / name).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def _own(folder: Path, keys: str) -> str:
    file = folder / "own.yaml"
    file.write_text(f"{{scheme: alone, {keys}}}\n", "utf-8")
    return f"teacher.recipe={file}"


def test_mirrored_images_are_told_with_the_way_out(uneven: Path, tmp_path: Path) -> None:
    data = ("--data", uneven)
    for verb in (("train", STUDENT), WHO):
        said = kd_ok(*verb, *data).err
        assert (
            f"images are {MIRRORED}; where left and right differ: --set data.augment=shift" in said
        )
    mine = (*WHO, *data, "--set", "data.augment=shift")
    assert f"the teacher's images are {MIRRORED}" in kd_ok(*mine).err
    own = _own(tmp_path, "data: {augment: shift}")
    assert MIRRORED not in kd_ok(*mine, "--set", own).err
    assert MIRRORED not in kd_ok("train", STUDENT, *data, "--set", "data.augment=shift_flip").err
    assert MIRRORED not in kd_ok(*WHO).err  # digits, as nobody mirrors them


def test_balance_reaches_the_student_alone_and_that_is_told(uneven: Path, tmp_path: Path) -> None:
    line = (*WHO, "--data", uneven)
    words = "train.balance reaches the student alone"
    assert words not in kd_ok(*line).err
    balanced = (*line, "--set", "train.balance=sampler")
    assert words in kd_ok(*balanced).err
    own = _own(tmp_path, "train: {balance: sampler, select: balanced_accuracy}")
    assert words not in kd_ok(*balanced, "--set", own).err


def test_a_given_teacher_may_have_seen_the_test_set(
    small: House, pictures: Path, uneven: Path, tmp_path: Path
) -> None:
    words = "nobody can know what it has learnt from"

    def said(model: Path, data: Path) -> bool:
        return (
            words in kd_ok("distill", "--teacher", model, "--student", STUDENT, "--data", data).err
        )

    assert not said(small.teacher, pictures)
    assert said(save_untrained(tmp_path / "foreign.pt", ("one", "two", "zero")), pictures)
    assert said(save_untrained(tmp_path / "two.pt", ("seven", "six")), uneven)
    split = tmp_path / "split"
    for role in ("train", "test"):
        shutil.copytree(uneven, split / role)
    assert not said(tmp_path / "two.pt", split)
