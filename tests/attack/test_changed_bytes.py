"""Rows 14 and 31: bytes that have changed since are noticed, of exported files and of images."""

import shutil
from pathlib import Path

import pytest
from house import TEACHER, House, kd, kd_ok, on_pictures
from PIL import Image


def flip(file: Path, at: float) -> None:
    """One bit, so far into the file."""
    content = bytearray(file.read_bytes())
    content[int(len(content) * at)] ^= 1
    file.write_bytes(content)


# Row 14 ------------------------------------------------------------------------------------------


@pytest.fixture
def picture(pictures: Path) -> Path:
    return pictures / "one" / "00.png"


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_flipped_bit_in_an_exported_file(finished: House, picture: Path, at: float) -> None:
    """Row 14."""
    file = finished.student / "export" / "model.onnx"
    kd_ok("predict", file, picture)
    flip(file, at)
    for typed in (finished.student, file):
        answer = kd("predict", typed, picture)
        assert answer.code == 7
        assert str(file) in answer.err
    assert kd("compare", finished.student, file).code == 7


def test_a_file_alone_or_beside_a_damaged_record_is_read_as_it_is(
    finished: House, picture: Path, tmp_path: Path
) -> None:
    """Row 14."""
    file = finished.student / "export" / "model.onnx"
    shutil.copy(file, tmp_path / "model.onnx")
    kd_ok("predict", tmp_path / "model.onnx", picture)
    shutil.copy(finished.student / "report.json", tmp_path / "report.json")
    kd_ok("predict", tmp_path / "model.onnx", picture)
    (finished.student / "report.json").write_text('{"exports": [{"path": 5}]}')
    kd_ok("predict", file, picture)


# Row 31 ------------------------------------------------------------------------------------------


def blacken(folder: Path) -> None:
    """The middle of every BMP; sizes, headers and last bytes stay."""
    for file in folder.rglob("*.bmp"):
        content = bytearray(file.read_bytes())
        quarter = len(content) // 4
        content[quarter:-quarter] = bytes(len(content) - 2 * quarter)
        file.write_bytes(content)


def test_images_whose_middles_were_blacked_out(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    """Row 31: same names, same sizes, same beginnings and ends."""
    folder = tmp_path / "bmp"
    for file in pictures.rglob("*.png"):
        place = folder / file.parent.name / f"{file.stem}.bmp"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).resize((64, 64)).save(place)
    kd_ok(*on_pictures(folder))
    (run,) = empty_house.runs("kd-")
    assert "nothing to train" in kd_ok(*on_pictures(folder)).err
    sizes = {file: file.stat().st_size for file in folder.rglob("*.bmp")}
    blacken(folder)
    assert sizes == {file: file.stat().st_size for file in folder.rglob("*.bmp")}
    answer = kd("evaluate", run)
    assert answer.code == 7
    assert "no longer" in answer.err or "changed" in answer.err
    kd_ok(*on_pictures(folder), "--set", "teacher.allow_weak=true")
    assert len(empty_house.runs("kd-")) == 2, "other images, another run"
    taken = kd(*on_pictures(folder), "--out", run)
    assert (taken.code, f"data: {folder} has changed since" in taken.err) == (2, True)


# Row 29 ------------------------------------------------------------------------------------------


def test_copies_in_test_are_named_counted_and_fail_a_gate(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    """Row 29: the same bytes in training and test, called otherwise."""
    folder = tmp_path / "split"
    for i, file in enumerate(sorted(pictures.rglob("*.png"))):
        role = "test" if i % 4 == 0 else "train"
        place = folder / role / file.parent.name / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    first, *_ = sorted((folder / "train" / "two").iterdir())
    shutil.copy(first, folder / "test" / "two" / "copy.png")
    answer = kd_ok("train", TEACHER, "--data", folder, "--set", "train.epochs=1")
    assert "in two splits" in answer.err
    assert "copy.png" in answer.err
    assert first.name in answer.err
    gate = ("evaluate", *empty_house.runs(), "--json", "--max")
    missed = kd(*gate, "data.test_images_seen=0")
    assert (missed.code, missed.document["data"]["test_images_seen"]) == (8, 1)
    kd_ok(*gate, "data.test_images_seen=1")
