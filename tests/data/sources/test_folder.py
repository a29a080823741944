"""Folders of images: four layouts, and every refusal says where and what to do."""

import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from kdcli.core.errors import DataError, ExitCode
from kdcli.core.progress import Silent
from kdcli.data.defaults import defaults_for
from kdcli.data.loader import plain_batches
from kdcli.data.readers import unique_ids
from kdcli.data.sources.folder import open_folder
from kdcli.data.store import open_store


def images(folder: Path, count: int, size: int = 12) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", (size, size), (i, 0, 0)).save(folder / f"{i:03d}.png")


def classes(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        images(folder / name, count)
    return folder


def test_all_three_splits_given(tmp_path: Path) -> None:
    for split, count in (("train", 5), ("valid", 2), ("test", 3)):
        classes(tmp_path / split, cat=count, dog=count)
    source = open_folder(tmp_path)
    assert [len(s) for s in (source.train, source.validation, source.test)] == [10, 4, 6]
    assert source.classes == ("cat", "dog")
    assert source.carved == {}
    assert source.notes == ()
    assert source.test.ids[0] == "test/cat/000.png"


def test_validation_is_carved_from_train(tmp_path: Path) -> None:
    classes(tmp_path / "train", cat=30, dog=20)
    classes(tmp_path / "test", cat=3, dog=3)
    source = open_folder(tmp_path)
    assert np.bincount(source.validation.labels).tolist() == [3, 2]
    assert source.carved == {"validation": list(source.validation.ids)}
    assert not set(source.train.ids) & set(source.validation.ids)


def test_validation_folder_alone_becomes_the_test_set(tmp_path: Path) -> None:
    classes(tmp_path / "train", cat=20, dog=20)
    classes(tmp_path / "val", cat=3, dog=3)
    source = open_folder(tmp_path)
    assert [len(s) for s in (source.train, source.validation, source.test)] == [36, 4, 6]
    assert "val/ is the test set" in source.notes[0]


@pytest.mark.parametrize("root", ["", "train"])
def test_one_set_is_divided(tmp_path: Path, root: str) -> None:
    classes(tmp_path / root, cat=60, dog=40)
    source = open_folder(tmp_path)
    assert [len(s) for s in (source.train, source.validation, source.test)] == [70, 10, 20]
    assert np.bincount(source.test.labels).tolist() == [12, 8]
    assert list(source.carved) == ["test", "validation"]
    ids = {*source.train.ids, *source.validation.ids, *source.test.ids}
    assert len(ids) == 100


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert open_folder(classes(tmp_path, train=10, bus=10)).classes == ("bus", "train")


def test_unicode_spaces_and_nesting(tmp_path: Path) -> None:
    images(tmp_path / "grüne Äpfel", 10)
    images(tmp_path / "梨" / "deep er", 10)
    source = open_folder(tmp_path)
    assert source.classes == ("grüne Äpfel", "梨")
    assert any(name.startswith("梨/deep er/") for name in source.train.ids)
    assert source.train.read(0).shape == (12, 12, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_cannot_be_printed(tmp_path: Path) -> None:
    strange = os.fsdecode(b"caf\xe9")
    images(tmp_path / strange, 10)
    images(tmp_path / "two\nlines", 10)
    (tmp_path / strange / os.fsdecode(b"\xff.png")).write_bytes(
        (tmp_path / strange / "000.png").read_bytes()
    )
    source = open_folder(tmp_path)
    assert source.classes == ("caf\\udce9", "two\\nlines")
    ids = [*source.train.ids, *source.validation.ids, *source.test.ids]
    assert len(set(ids)) == 21
    assert "caf\\udce9/\\udcff.png" in ids
    "".join(ids).encode("utf-8")
    assert all("\n" not in name for name in (*ids, *source.notes))
    assert source.train.read(0).shape == (12, 12, 3)


def test_names_that_look_the_same_when_written_stay_apart() -> None:
    names = ("a\\udcff.png", os.fsdecode(b"a\xff.png"), "b.png")
    ids = unique_ids(names)
    assert len(set(ids)) == 3
    assert ids[0] == names[0]


def test_files_that_are_not_images_are_counted(tmp_path: Path) -> None:
    classes(tmp_path, cat=10, dog=10)
    (tmp_path / "cat" / "labels.csv").touch()
    (tmp_path / "stray.png").touch()
    (tmp_path / "cat" / ".DS_Store").touch()
    (tmp_path / ".cache").mkdir()
    assert open_folder(tmp_path).notes[0].startswith("2 files that are not images")


def test_links_to_folders_cannot_lead_astray(tmp_path: Path) -> None:
    classes(tmp_path, cat=10, dog=10)
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    source = open_folder(tmp_path)
    assert len(source.train) + len(source.validation) + len(source.test) == 20


def test_identity_is_of_the_content_not_the_place(tmp_path: Path) -> None:
    here, there = (open_folder(classes(tmp_path / p, cat=9, dog=9)) for p in ("a", "b"))
    assert here.identity == there.identity
    images(tmp_path / "b" / "cat", 10)
    assert open_folder(tmp_path / "b").identity != here.identity


def test_defaults_follow_the_size_of_the_images(tmp_path: Path) -> None:
    images(tmp_path / "a", 8, size=100)
    images(tmp_path / "b", 8, size=100)
    defaults = open_folder(tmp_path).defaults
    assert (defaults.image_size, defaults.augment, defaults.pretrained) == (224, "crop_flip", True)
    assert defaults.own_size
    assert (defaults.schedule(10_000_001).epochs, defaults.schedule(10_000_001).patience) == (10, 3)
    assert (defaults.schedule(1).epochs, defaults.schedule(1).patience) == (20, 5)


def test_above_64_pixels_they_are_photographs() -> None:
    found = [defaults_for(side) for side in (28, 40, 41, 64, 65)]
    assert [d.image_size for d in found] == [32, 32, 64, 64, 224]
    assert [d.own_size for d in found] == [False, False, False, False, True]
    assert [d.pretrained for d in found] == [False, False, False, False, True]


def test_a_class_absent_from_test_is_said(tmp_path: Path) -> None:
    classes(tmp_path / "train", cat=20, dog=20)
    classes(tmp_path / "test", cat=3)
    assert "test/ has no images of dog" in open_folder(tmp_path).notes


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_folder(root)
    assert caught.value.code == ExitCode.DATA
    assert caught.value.fix
    return caught.value.what


def test_no_images(tmp_path: Path) -> None:
    assert "no images" in refused(tmp_path)
    images(tmp_path, 3)
    assert "no images in class folders" in refused(tmp_path)


def test_single_class(tmp_path: Path) -> None:
    assert "one class only (cat)" in refused(classes(tmp_path, cat=5))


def test_class_without_training_images(tmp_path: Path) -> None:
    assert "dog: a class without training images" in refused(classes(tmp_path, cat=5, dog=0))


@pytest.mark.parametrize("split", ["val", "test"])
def test_class_that_train_does_not_know(tmp_path: Path, split: str) -> None:
    classes(tmp_path / "train", cat=5, horse=5)
    classes(tmp_path / split, cat=5, horses=5)
    what = refused(tmp_path)
    assert str(Path(split) / "horses") in what
    assert "did you mean 'horse'" in what


def test_splits_without_train(tmp_path: Path) -> None:
    classes(tmp_path / "val", cat=5, dog=5)
    classes(tmp_path / "test", cat=5, dog=5)
    assert "no train/" in refused(tmp_path)


def test_two_validation_folders(tmp_path: Path) -> None:
    for split in ("train", "val", "valid"):
        classes(tmp_path / split, cat=5, dog=5)
    assert "both val/ and valid/" in refused(tmp_path)


def test_an_empty_test_folder(tmp_path: Path) -> None:
    classes(tmp_path / "train", cat=5, dog=5)
    (tmp_path / "test").mkdir()
    assert "test: no images" in refused(tmp_path)


def test_too_few_to_divide(tmp_path: Path) -> None:
    assert "too few" in refused(classes(tmp_path, cat=1, dog=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_image_is_named_however_it_is_read(tmp_path: Path, workers: int) -> None:
    classes(tmp_path / "train", cat=5, dog=5)
    classes(tmp_path / "test", cat=5, dog=5)
    source = open_folder(tmp_path)
    (tmp_path / "test" / "cat" / "002.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"cat/002\.png"):
        open_store(source.test, 12, Silent())
    on_demand = open_store(source.test, 12, Silent(), limit_bytes=0)
    with pytest.raises(DataError, match=r"cat/002\.png") as caught:
        list(plain_batches(on_demand, num_classes=2, workers=workers))
    assert caught.value.fix
    assert "Traceback" not in str(caught.value)


def test_classes_have_the_places_that_image_folder_gives_them(tmp_path):
    """Wherever the folders were made: a Mac writes the umlaut as two characters, A first."""
    names = ("Zebra", "Äpfel", "Ähren", "apfel", "Birne")
    for form in ("NFC", "NFD"):
        root = tmp_path / form
        for i, name in enumerate(names):
            images(root / unicodedata.normalize(form, name), 20, i + 3)
        theirs = [unicodedata.normalize("NFC", name) for name in ImageFolder(root).classes]
        assert list(open_folder(root).classes) == theirs
    assert open_folder(tmp_path / "NFD").classes != open_folder(tmp_path / "NFC").classes


def test_an_umlaut_is_the_same_however_it_is_written(tmp_path):
    """macOS writes it as two characters."""
    for split, form in (("train", "NFC"), ("valid", "NFD"), ("test", "NFC")):
        for name in ("Äpfel", "Birnen"):
            folder = tmp_path / split / unicodedata.normalize(form, name)
            folder.mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / f"{i}.png")
    source = open_folder(tmp_path)
    assert source.classes == ("Birnen", "Äpfel")
    assert len(source.validation) == 6
    assert source.validation.read(0).shape == (8, 8, 3)
