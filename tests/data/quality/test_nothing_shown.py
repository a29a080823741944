"""Images that show nothing are told of before anybody trains on them; usual data are not."""

from pathlib import Path

import numpy as np
import pytest
from house import kd_ok
from PIL import Image

from kdcli.core.progress import Silent
from kdcli.data.open import open_source
from kdcli.data.quality.survey import survey
from kdcli.plan.data import open_data

FASHION = Path("/usr/share/datasets/fashion-mnist")


def folder_of(place: Path, images: list[np.ndarray], form: str = "png") -> Path:
    """Two classes, by turns."""
    for i, image in enumerate(images):
        (place / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / "ab"[i % 2] / f"{i:02}.{form}")
    return place


def noise(seed: int, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (24, 24, 3), np.uint8)


def warned(folder: Path) -> str:
    found = survey(open_source(str(folder)), Silent())
    return " ".join(found.shown.warnings())


def test_nearly_black_or_of_one_colour(tmp_path: Path) -> None:
    """As 12 bits are that were read as 16."""
    dark = folder_of(tmp_path / "dark", [noise(i, 16) for i in range(20)])
    assert "14 of 14 training images looked at show nothing" in warned(dark)
    plain = [np.full((24, 24, 3), i, np.uint8) for i in range(20)]
    assert "show nothing" in warned(folder_of(tmp_path / "plain", plain))
    few = folder_of(tmp_path / "few", [noise(i, 16 if i == 3 else 256) for i in range(60)])
    assert not warned(few), "one blank image is none of the data set's"


def test_copies_and_classes_that_hold_the_same(tmp_path: Path) -> None:
    copies = folder_of(tmp_path / "copies", [noise(i % 4) for i in range(40)])
    assert "28 of 28 training images looked at are only 4 different pictures" in warned(copies)
    same = folder_of(tmp_path / "same", [noise(i // 2) for i in range(40)])
    assert "pixel for pixel those of another class" in warned(same)
    assert not warned(folder_of(tmp_path / "usual", [noise(i) for i in range(40)]))


class Warned(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_doctor_and_training_warn(tmp_path: Path) -> None:
    dark = folder_of(tmp_path / "dark", [noise(i, 16) for i in range(20)])
    said, training = kd_ok("doctor", dark, "--json").document["data"], Warned()
    open_data(str(dark), training)
    assert said["warnings"] == [line.removeprefix("dark: ") for line in training.lines]
    assert "show nothing" in said["warnings"][0]


def test_no_false_alarm_on_digits() -> None:
    assert not tuple(survey(open_source("digits"), Silent()).shown.warnings())


@pytest.mark.skipif(not FASHION.is_dir(), reason="apt install dataset-fashion-mnist")
@pytest.mark.slow
def test_no_false_alarm_on_fashion_mnist() -> None:
    assert not warned(FASHION)
