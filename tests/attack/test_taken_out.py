"""Row 10: the same folder, asked for with anything changed, says what; nothing in it changes."""

import shutil
from pathlib import Path

import pytest
from house import House, kd, on_pictures

from kdcli.core.files import sha256


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (("--set", "train.lr=0.01"), "train.lr: "),
        (("--set", "methods.kd.temperature=2"), "methods.kd.temperature: 4 there, 2 here"),
        (("--seed", "1"), "seed: 0 there, 1 here"),
        (("--student", "test_vit"), "model: test_efficientnet there, test_vit here"),
        (("--teacher", "test_vit"), "teachers: test_resnet there, test_resnet, test_vit here"),
        (("--set", "teacher.seed=3"), "teacher: seed: 0 there, 3 here"),
        (("--recipe", "dkd"), "methods.dkd.temperature: none there, 4 here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_taken_folder_says_what_differs(
    small: House, pictures: Path, changed: tuple[str, ...], line: str
) -> None:
    before = sha256(small.student / "model.pt")
    answer = kd(*on_pictures(pictures), *changed, "--out", small.student)
    assert answer.code == 2
    assert f"holds another run ({small.student.name})" in answer.err
    assert f"  {line}" in answer.err
    assert sha256(small.student / "model.pt") == before


def test_other_images_are_told(small: House, pictures: Path, tmp_path: Path) -> None:
    """Of the same names and classes, in another place and in the same."""
    other = shutil.copytree(pictures, tmp_path / "others")
    shutil.copy(other / "one" / "00.png", other / "one" / "01.png")
    answer = kd(*on_pictures(other), "--out", small.student)
    assert (answer.code, f"data: {pictures} there, {other} here" in answer.err) == (2, True)
