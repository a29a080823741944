"""What the data are, before any work: counted, compared, and said."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, pictures

from kdcli.core.errors import DataError
from kdcli.data.open import open_source
from kdcli.data.quality.survey import described, survey
from kdcli.data.sources.digits import open_digits
from kdcli.data.sources.folder import open_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 : 1 in training, and a test set."""
    pictures(tmp_path / "train" / "Hose groß", 60)
    pictures(tmp_path / "train" / "Hut", 5, first=100)
    pictures(tmp_path / "val" / "Hose groß", 3, first=200)
    pictures(tmp_path / "val" / "Hut", 3, first=300)
    pictures(tmp_path / "test" / "Hose groß", 4, first=400)
    pictures(tmp_path / "test" / "Hut", 4, first=500)
    return tmp_path


def test_counts_sizes_and_classes(folder: Path) -> None:
    picture(folder / "train" / "Hut" / "small.png", 7, size=10)
    picture(folder / "train" / "Hut" / "large.png", 8, size=40)
    (folder / "train" / "Hut" / "notes.txt").touch()
    found = survey(open_folder(folder))
    assert found.images == {"train": 67, "validation": 6, "test": 8}
    assert found.per_class == {"Hose groß": 60, "Hut": 7}
    assert (found.largest, found.smallest) == (("Hose groß", 60), ("Hut", 7))
    assert found.sizes
    assert (found.sizes.smallest, found.sizes.median) == ((10, 10), (12, 12))
    assert described(found.sizes) == "10 x 10 to 40 x 40 pixels, median 12 x 12"
    assert found.ignored == ("train/Hut/notes.txt",)
    assert found.doubles == found.unreadable == ()


def test_what_is_said_before_training(folder: Path) -> None:
    found = survey(open_folder(folder))
    assert found.lines() == (
        "2 classes; 65 / 6 / 8 images (train / validation / test)",
        "training images per class: 5 (Hut) to 60 (Hose groß), 12.0:1",
        "sizes: all 12 x 12 pixels",
    )
    (warning,) = found.advice()
    assert warning.startswith("class 'Hose groß' has 12.0 times the images of 'Hut': consider")
    for word in ("train.balance=sampler", "train.select=balanced_accuracy", "worst_class_recall"):
        assert word in warning
    assert "teacher.recipe=FILE" in warning


def test_few_images_to_measure_a_rare_class_on_are_told(folder: Path) -> None:
    (warning,) = survey(open_folder(folder)).warnings()
    told = "class 'Hut': 3 validation and 4 test images (1 more have fewer than 10); gates "
    assert warning.startswith(told)


def test_five_to_one_is_no_imbalance_to_speak_of(folder: Path) -> None:
    pictures(folder / "train" / "Hut", 12, first=100)
    found = survey(open_folder(folder))
    assert found.imbalance == 5
    assert found.warnings() + found.advice() == ()


def test_doubles_across_splits_are_found_by_content(folder: Path) -> None:
    here = folder / "train" / "Hut"
    shutil.copy(here / "01.png", folder / "test" / "Hut" / "andere ü.png")
    shutil.copy(here / "02.png", here / "twice in one split.png")
    found = survey(open_folder(folder))
    (double,) = found.doubles
    assert double.ids == ("train/Hut/01.png", "test/Hut/andere ü.png")
    assert double.splits == ("train", "test")
    assert "1 image stands in two splits" in found.warnings()[0]
    assert "train/Hut/01.png = test/Hut/andere ü.png" in found.warnings()[0]


def test_a_copy_in_another_class_is_said(folder: Path) -> None:
    here = folder / "train" / "Hut"
    shutil.copy(here / "01.png", folder / "train" / "Hose groß" / "kopie.png")
    shutil.copy(here / "02.png", folder / "test" / "Hose groß" / "kopie.png")
    pictures(folder / "test" / "Hut", 1, first=200)  # as in val/Hose groß
    across, within, _ = survey(open_folder(folder)).warnings()
    assert "2 images stand in two splits, 2 of them in another class, so what" in across
    assert "train/Hut/02.png (Hut) = test/Hose groß/kopie.png (Hose groß)" in across
    assert within == (
        "1 image stands in two classes of one split, so one of the labels is wrong: "
        "train/Hose groß/kopie.png (Hose groß) = train/Hut/01.png (Hut)"
    )


def test_files_that_differ_in_the_middle_alone_are_no_doubles(folder: Path) -> None:
    one, other = folder / "train" / "Hut" / "big.png", folder / "test" / "Hut" / "big.png"
    data = bytearray(picture(one, 3, size=100).read_bytes())
    data[len(data) // 2] ^= 1
    other.write_bytes(data)
    assert survey(open_folder(folder)).doubles == ()


def test_images_in_memory_are_compared_by_their_pixels() -> None:
    source = open_digits()
    found = survey(source)
    assert found.doubles == found.unreadable == ()
    assert found.sizes
    assert found.sizes.largest == (8, 8)
    source.test.read.images[5] = source.train.read.images[7]  # type: ignore[attr-defined]
    (double,) = survey(source).doubles
    assert double.ids == (source.train.ids[7], source.test.ids[5])


def test_unreadable_headers_are_all_named(folder: Path) -> None:
    for i in range(12):
        (folder / "test" / "Hut" / f"bad {i:02d}.png").write_bytes(b"")
    found = survey(open_folder(folder))
    assert len(found.unreadable) == 12
    assert "12 images cannot be read" in found.warnings()[0]
    with pytest.raises(DataError) as caught:
        found.refuse_unreadable()
    assert caught.value.what.startswith("12 of 91 images cannot be read:\n")
    assert "bad 09.png: not a readable image (the file is empty)" in caught.value.what
    assert "bad 10.png" not in caught.value.what
    assert "  and 2 more" in caught.value.what
    assert "kd doctor" in caught.value.fix


def test_headers_are_enough(folder: Path) -> None:
    """Truncated images are found by decoding, which a survey does not."""
    path = picture(folder / "test" / "Hut" / "half.png", 9, size=50)
    path.write_bytes(path.read_bytes()[:200])
    assert survey(open_folder(folder)).unreadable == ()


def test_a_class_without_training_images_left(tmp_path: Path) -> None:
    source = open_source("digits")
    kept = source.train.take(np.flatnonzero(source.train.labels != 3))
    object.__setattr__(source, "train", kept)
    found = survey(source)
    assert found.imbalance == float("inf")
    assert "has all the images of '3'" in found.advice()[0]
