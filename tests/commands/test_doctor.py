"""`kd doctor`: what the data are, what this machine is; nothing is trained."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from house import House, kd, kd_ok

from kdcli.plan import loader_speed


@pytest.fixture
def photos(pictures: Path, tmp_path: Path) -> Path:
    """The pictures, in a folder of one's own with a difficult name."""
    return Path(shutil.copytree(pictures, tmp_path / "Bilder für kd"))


def test_a_sound_folder(photos: Path, empty_house: House) -> None:
    answer = kd_ok("doctor", photos)
    for words in ("Bilder für kd", "all 8 x 8 pixels", "32 pixels", "shift_flip", "1.0 : 1"):
        assert words in answer.out
    assert f"--data '{photos}' --dry-run" in answer.out
    assert not empty_house.path.exists()
    assert "warning" not in answer.err


def test_files_that_are_ignored_are_counted_and_named(photos: Path) -> None:
    for role in ("train", "test"):
        shutil.copytree(photos / "one", photos / role / "one")
        shutil.copytree(photos / "two", photos / role / "two")
    for name in ("zero", "one", "two"):
        shutil.rmtree(photos / name)
    for name in ("README.md", "train/a.csv", "train/one/b.txt", "test/two/c.xml", ".hidden"):
        (photos / name).touch()
    answer = kd_ok("doctor", photos)
    assert "4 files that are not images of a class ignored" in answer.out
    assert "ignored: README.md, test/two/c.xml, train/a.csv, train/one/b.txt" in answer.out


def test_every_broken_image_is_named(photos: Path) -> None:
    half = photos / "one" / "03.png"
    half.write_bytes(half.read_bytes()[:60])  # its header is whole
    for i in range(12):
        (photos / "two" / f"{i:02d}.png").write_bytes(b"")
    answer = kd("doctor", photos)
    assert answer.code == 3
    assert answer.out.count("broken: ") == 13
    assert f"broken: {half}: not a readable image" in answer.out
    assert "13 of 120 images cannot be read" in answer.err
    assert "--dry-run" not in answer.out


def test_doubles_and_imbalance_are_advised_on(photos: Path) -> None:
    for i in range(3, 40):
        (photos / "one" / f"{i:02d}.png").unlink()
    train = photos / "train"
    train.mkdir()
    for name in ("zero", "one", "two"):
        shutil.move(photos / name, train / name)
    shutil.copytree(train, photos / "test")
    answer = kd_ok("doctor", photos)
    assert "stand in two splits" in answer.err
    assert "train.balance=sampler" in answer.err
    assert answer.out.count("the same image: ") == 10


def test_a_document(photos: Path) -> None:
    (photos / "one" / "03.png").write_bytes(b"")
    answer = kd("doctor", photos, "--json")
    assert answer.code == 3
    data = answer.document["data"]
    assert data["images"] == {"train": 84, "validation": 12, "test": 24}
    assert sum(data["classes"].values()) == 84
    assert data["sizes"] == {"smallest": [8, 8], "median": [8, 8], "largest": [8, 8]}
    assert data["doubles"]["count"] == data["in_two_classes"]["count"] == 0
    assert len(data["broken"]) == 1
    assert data["defaults"]["image_size"] == 32
    assert data["loader"] is None
    assert answer.document["error"]["code"] == 3


def test_how_fast_the_images_come(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "images per second, from memory" in kd_ok("doctor", photos).out
    monkeypatch.setattr(loader_speed, "squares_in_memory", lambda *_: 0)
    monkeypatch.setattr(loader_speed, "decoded_once", lambda *_: False)
    monkeypatch.setattr(loader_speed, "IMAGES", 20)
    monkeypatch.setattr(loader_speed, "SLOW", float("inf"))
    monkeypatch.setenv("KD_WORKERS", "1")
    answer = kd_ok("doctor", photos)
    assert "images per second with 1 worker, " in answer.out
    assert "what helps: " in answer.out
    found = kd_ok("doctor", photos, "--json").document["data"]["loader"]
    assert found["images_per_second"] > 0 < found["in_process"]
    assert (found["workers"], found["in_memory"], found["image_size"]) == (1, False, 32)


def test_anything_that_data_takes(photos: Path, tmp_path: Path) -> None:
    assert "1,077" in kd_ok("doctor", "digits").out
    table = photos / "labels.csv"
    rows = [f"{p.parent.name}/{p.name},{p.parent.name}" for p in sorted(photos.rglob("*.png"))]
    table.write_text("\n".join(["image,label", *rows]), "utf-8")
    assert kd_ok("doctor", table, "--json").document["data"]["images"]["train"] == 84
    assert kd("doctor", tmp_path / "none").code == 2


def test_many_classes_are_cut_to_the_ends(tmp_path: Path, pictures: Path) -> None:
    image = (pictures / "one" / "00.png").read_bytes()
    for i in range(30):
        (tmp_path / f"class {i:02d}").mkdir()
        for j in range(10 + i):
            (tmp_path / f"class {i:02d}" / f"{j}.png").write_bytes(image)
    answer = kd_ok("doctor", tmp_path)
    assert "... 10 more ..." in answer.out
    assert "class 29" in answer.out
    assert "class 15" not in answer.out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["words", "json"])
def test_names_that_cannot_be_printed(photos: Path, flags: tuple[str, ...]) -> None:
    place = photos / os.fsdecode(b"caf\xe9\nn\x1b[31m")
    shutil.copytree(photos / "one", place)
    (place / "00.png").write_bytes(b"")
    root = photos.rename(photos.with_name(os.fsdecode(b"\xff\xfe")))
    answer = kd("doctor", root, *flags)
    assert answer.code == 3
    (answer.out + answer.err).encode("utf-8")
    assert "\x1b" not in answer.out
    assert "udce9" in answer.out


def test_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import version

    monkeypatch.setenv("KD_RUNS", str(tmp_path / "not" / "there yet"))
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    found = kd_ok("doctor", "--json").document["machine"]
    assert found["versions"]["torch"] == version("torch")
    assert found["versions"]["timm"] == version("timm")
    assert {"python", "kdcli", "onnxruntime"} <= set(found["versions"])
    assert found["devices"][-1]["name"] == "cpu"
    assert found["cores"] == os.cpu_count()
    assert found["memory_bytes"] > found["free_memory_bytes"] > 0
    assert found["free_disk_bytes"] > 0
    assert found["folders"]["measured latencies and the rest"] == str(tmp_path / "cache")
    assert not (tmp_path / "not").exists()
    words = kd_ok("doctor").out
    assert f"--device auto takes {found['devices'][0]['name']}" in words
    assert version("torch") in words


# What training says of the same things ----------------------------------------------------------


def test_training_says_what_the_data_are_first(photos: Path, empty_house: House) -> None:
    said = kd_ok("train", "test_resnet", "--data", photos, "--set", "train.epochs=1").err
    assert "3 classes; 84 / 12 / 24 images (train / validation / test)" in said
    assert "training images per class: 28 each" in said
    assert said.index("3 classes") < said.index("epoch 1/1")
    again = kd_ok("evaluate").err
    assert "3 classes;" not in again, "once is enough"


def test_training_on_broken_images_names_them_before_anything(
    photos: Path, empty_house: House
) -> None:
    for name in ("one/03.png", "two/07.png"):
        (photos / name).write_bytes(b"not an image")
    answer = kd("train", "test_resnet", "--data", photos)
    assert answer.code == 3
    assert "2 of 120 images cannot be read" in answer.err
    assert "one/03.png" in answer.err
    assert "two/07.png" in answer.err
    assert not empty_house.path.exists()
