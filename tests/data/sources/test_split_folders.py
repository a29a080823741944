"""Split folders of any usual name are splits; what may be splits never passes for classes."""

from pathlib import Path
from shlex import quote

import pytest
from pictures import picture, pictures

from kdcli.core.errors import DataError, KdError, UsageError
from kdcli.data.sources.folder import open_folder
from kdcli.data.splits import role_of


def classes(folder: Path, *names: str, count: int = 8, first: int = 0) -> Path:
    for i, name in enumerate(names or ("cat", "dog")):
        pictures(folder / name, count, first=first + 100 * i)
    return folder


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("TRAIN", "Test"),
        ("train_images", "test_images"),
        ("train_set", "test_set"),
        ("trainingSet", "testSet"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/train", "val/val"),
        ("images_train", "images_eval"),
        ("train/images", "test/images"),
        ("train2017", "val2017"),
        ("01 training data", "02 validation data"),
    ],
)
def test_known_spellings_are_splits(tmp_path: Path, train: str, test: str) -> None:
    classes(tmp_path / train, count=10)
    classes(tmp_path / test, count=3, first=50)
    source = open_folder(tmp_path)
    assert source.classes == ("cat", "dog")
    assert len(source.test) == 6
    assert len(source.train) + len(source.validation) == 20


def test_another_spelling_is_said(tmp_path: Path) -> None:
    classes(tmp_path / "Training")
    classes(tmp_path / "test", first=50)
    assert "Training/ is the train set" in open_folder(tmp_path).notes


@pytest.mark.parametrize("name", ["bullet train", "fold1", "trains", "valley", "dataset", "tester"])
def test_other_names_are_not(name: str) -> None:
    assert role_of(name) is None


def refused(root: Path) -> KdError:
    with pytest.raises((DataError, UsageError)) as caught:
        open_folder(root)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    "splits",
    [
        ("fold1", "fold2", "fold3"),
        ("asl_train/asl_train", "asl_test/asl_test"),
        ("amazon", "webcam"),
        ("all/fold1", "all/fold2"),
        ("train/fold1", "train/fold2"),
    ],
)
def test_the_same_folders_again_are_refused(tmp_path: Path, splits: tuple[str, ...]) -> None:
    for i, split in enumerate(splits):
        classes(tmp_path / split, "Cat" if i else "cat", "dog", "emu"[i:], first=10 * i)
    if splits[0].startswith("all"):
        assert f"--data {tmp_path / 'all'}" in refused(tmp_path).fix
        tmp_path = tmp_path / "all"
    error = refused(tmp_path)
    assert "hold the same folders again (cat, dog" in error.what.replace("Cat", "cat")
    assert "train/, val/ and test/" in error.fix


def test_a_stray_image_beside_them_changes_nothing(tmp_path: Path) -> None:
    for split in ("fold1", "fold2"):
        picture(classes(tmp_path / split) / "sample.png")
    assert "fold1/, fold2/ hold the same folders again" in refused(tmp_path).what


def test_a_test_set_of_unknown_name_is_not_left_out(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    classes(tmp_path / "unseen patients", first=50)
    assert "train/, unseen patients/ hold the same folders" in refused(tmp_path).what
    classes(tmp_path / "test", first=50)
    assert "beside the splits, ignored: unseen patients/" in open_folder(tmp_path).notes


def test_splits_inside_of_classes_or_folds(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        classes(tmp_path / "a" / name, "train", "test")
        for split in ("train", "test"):
            classes(tmp_path / "b" / f"fold_{name}" / split)
    error = refused(tmp_path / "a")
    assert "cat/ holds test/, train/: splits within a class" in error.what
    assert "train/CLASS/" in error.fix
    error = refused(tmp_path / "b")
    assert "fold_cat/ holds test/, train/: splits of its own" in error.what
    assert error.fix.endswith("/b/fold_cat")


def test_folders_within_classes_are_still_theirs(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / name / "images", 10, first=len(name))  # as Tiny ImageNet has them
    assert open_folder(tmp_path).classes == ("cat", "dog")
    for name in ("cat", "dog"):
        pictures(tmp_path / name, 5)
        pictures(tmp_path / name / "old", 5)
    assert open_folder(tmp_path).classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("made", "given"),
    [
        ("dataset", "dataset"),
        ("a/b", "a/b"),
        ("archive/train", "archive"),
        ("archive/seg_train/seg_train", "archive"),
        ("dataset/raw images", "dataset/raw images"),
    ],
)
def test_class_folders_that_lie_deeper(tmp_path: Path, made: str, given: str) -> None:
    classes(tmp_path / made)
    error = refused(tmp_path)
    assert isinstance(error, UsageError)
    assert f"class folders lie in {tmp_path / made} (cat, dog)" in error.what
    assert error.fix.endswith(f"--data {quote(str(tmp_path / given))}")
    assert open_folder(tmp_path / given).classes == ("cat", "dog")
