"""Data of other tasks are refused in words; ordinary class folders never are."""

import json
from pathlib import Path

import pytest
from pictures import picture, pictures

from kdcli.core.errors import DataError, ExitCode
from kdcli.data.sources.folder import open_folder

VOC = "<annotation><object><bndbox><xmin>1</xmin></bndbox></object></annotation>"
COCO = {"images": [{"id": 1}], "annotations": [{"bbox": [1, 2, 3, 4]}], "categories": []}


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_folder(root)
    assert caught.value.code == ExitCode.DATA
    assert "not for kd" in caught.value.what
    assert "one label per image" in caught.value.fix
    return caught.value.what


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@pytest.mark.parametrize("images", ["images", "train/images", "images/train"])
def test_yolo(tmp_path: Path, images: str) -> None:
    for path in pictures(tmp_path / images, 3):
        label = str(path.relative_to(tmp_path)).replace("images", "labels").replace(".png", ".txt")
        written(tmp_path / label, "0 0.5 0.5 .25 1e-2\n1 0.1 0.1 0.1 0.1\n")
    assert "YOLO" in refused(tmp_path)


def test_yolo_with_the_text_beside_the_image(tmp_path: Path) -> None:
    for path in pictures(tmp_path / "train", 3):
        written(path.with_suffix(".txt"), "0 0.5 0.5 0.25 0.25\n")
    pictures(tmp_path / "val", 3)
    assert "YOLO" in refused(tmp_path)


def test_pascal_voc(tmp_path: Path) -> None:
    for path in pictures(tmp_path / "JPEGImages", 3):
        written(tmp_path / "Annotations" / f"{path.stem}.xml", VOC)
    assert "Pascal VOC" in refused(tmp_path)


@pytest.mark.parametrize("place", ["annotations/instances.json", "train/_annotations.coco.json"])
def test_coco(tmp_path: Path, place: str) -> None:
    pictures(tmp_path / "train", 3)
    pictures(tmp_path / "valid", 3)
    written(tmp_path / place, json.dumps(COCO))
    assert "COCO" in refused(tmp_path)


def test_coco_whose_split_folders_would_pass_for_classes(tmp_path: Path) -> None:
    pictures(tmp_path / "train2017", 9)
    pictures(tmp_path / "val2017", 9)
    with pytest.raises(DataError, match="no train/ with class folders in it"):
        open_folder(tmp_path)
    written(tmp_path / "instances.json", json.dumps(COCO))
    assert "COCO" in refused(tmp_path)


@pytest.mark.parametrize("place", ["", "train"])
@pytest.mark.parametrize("tail", ["", "_mask"])
def test_masks(tmp_path: Path, place: str, tail: str) -> None:
    for path in pictures(tmp_path / place / "images", 5):
        picture(tmp_path / place / "masks" / f"{path.stem}{tail}.png")
    assert "segmentation" in refused(tmp_path)


def test_text(tmp_path: Path) -> None:
    written(tmp_path / "good" / "1.txt", "well done")
    written(tmp_path / "bad" / "1.txt", "oh no")
    assert "text and no image" in refused(tmp_path)


# No false alarm ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [("labels", "stamps"), ("masks", "hats"), ("masks", "images", "hats"), ("annotations", "x")],
    ids=" ".join,
)
def test_classes_may_be_called_so(tmp_path: Path, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        pictures(tmp_path / name, 8, first=100 * i)
    assert open_folder(tmp_path).classes == tuple(sorted(names))


def test_classes_called_images_and_masks_of_other_names(tmp_path: Path) -> None:
    pictures(tmp_path / "images", 8)
    for i in range(8):
        picture(tmp_path / "masks" / f"halloween {i}.png", 50 + i)
    assert open_folder(tmp_path).classes == ("images", "masks")


def test_notes_beside_class_folders_hinder_nobody(tmp_path: Path) -> None:
    pictures(tmp_path / "cat", 8)
    pictures(tmp_path / "dog", 8, first=50)
    written(tmp_path / "cat" / "00.txt", "0 0.5 0.5 0.25 0.25\n")
    written(tmp_path / "cat" / "00.xml", VOC)
    written(tmp_path / "boxes.json", json.dumps(COCO))
    source = open_folder(tmp_path)
    assert source.classes == ("cat", "dog")
    assert source.ignored == ("boxes.json", "cat/00.txt", "cat/00.xml")


def test_a_table_that_lies_there_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "all", 8)
    written(tmp_path / "labels.csv", "image,label\n")
    with pytest.raises(DataError, match="one class only") as caught:
        open_folder(tmp_path)
    assert caught.value.fix.endswith(f"--data {tmp_path / 'labels.csv'}")
