"""The same picture saved anew is found; pictures that are alike are not called the same."""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from kdcli.core.progress import Silent
from kdcli.data.open import open_source
from kdcli.data.quality import near_doubles as near_doubles_module
from kdcli.data.quality.near_doubles import near_doubles
from kdcli.data.quality.survey import survey
from kdcli.data.sources.folder import open_folder
from kdcli.data.thumbnails import small_grey

FASHION = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def crops() -> list[Image.Image]:
    """Forty pieces of two photographs, of 200 to 300 pixels."""
    rng, found = np.random.default_rng(0), []
    for i in range(40):
        photo = Image.fromarray(load_sample_images().images[i % 2])
        side = int(rng.integers(200, 300))
        left = int(rng.integers(0, photo.width - side))
        top = int(rng.integers(0, photo.height - side))
        found.append(photo.crop((left, top, left + side, top + side)))
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, crops: list[Image.Image]) -> Path:
    """Twenty photographs to train on, others to test on."""
    found = tmp_path_factory.mktemp("crops") / "data"
    for i, crop in enumerate(crops):
        place = found / ("train" if i < 20 else "test") / ("cat" if i % 4 < 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        crop.save(place / f"{i:02d}.png")
    return found


@pytest.fixture
def folder(tmp_path: Path, written: Path) -> Path:
    """A copy to work in."""
    return shutil.copytree(written, tmp_path / "data")


def found_in(folder: Path) -> list[str]:
    return [double.ids[1] for double in survey(open_folder(folder)).near_doubles]


SAVED = {
    "q50.jpg": {"quality": 50},
    "half.jpg": {"scale": 0.5},
    "thumb.jpg": {"scale": 0.25, "quality": 60},
    "large.png": {"scale": 2},
    "a.webp": {"quality": 50},
    "gif.gif": {},
}


@pytest.mark.parametrize("name", SAVED)
def test_the_same_picture_saved_anew(folder: Path, crops: list[Image.Image], name: str) -> None:
    assert found_in(folder) == []
    settings = dict(SAVED[name])
    scale = settings.pop("scale", 1)
    for i in (0, 1, 2, 3):
        crop = crops[i]
        saved = crop.resize((int(crop.width * scale), int(crop.height * scale)))
        saved.save(folder / "test" / "cat" / f"{i} {name}", **settings)
    assert sorted(found_in(folder)) == [f"test/cat/{i} {name}" for i in (0, 1, 2, 3)]
    (warning,) = survey(open_folder(folder)).warnings()
    assert "4 images stand in two splits as nearly the same picture" in warning
    assert "2 of them in another class" in warning


def test_another_colour_or_a_turned_picture_is_another(
    folder: Path, crops: list[Image.Image]
) -> None:
    crop = crops[0]
    red, green, blue = crop.split()
    Image.merge("RGB", (blue, green, red)).save(folder / "test" / "cat" / "colour.png")
    crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "test" / "cat" / "flip.png")
    assert found_in(folder) == []


def test_flat_and_identical_images_are_not_their_business(folder: Path) -> None:
    for split in ("train", "test"):
        for i in range(3):
            Image.new("RGB", (50, 50), (9 * i, 0, 0)).save(folder / split / "cat" / f"flat{i}.png")
    Image.open(folder / "train" / "cat" / "00.png").save(folder / "test" / "dog" / "b.bmp")
    (folder / "test" / "dog" / "a.png").write_bytes(
        (folder / "train" / "cat" / "00.png").read_bytes()
    )
    (folder / "test" / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert found_in(folder) == ["test/dog/b.bmp"]


def test_what_was_found_is_kept(
    folder: Path, crops: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    crops[0].resize((90, 90)).save(folder / "test" / "cat" / "smaller.png")
    first = survey(open_folder(folder)).near_doubles
    assert first
    monkeypatch.setattr("kdcli.data.quality.near_doubles._thumbnails", None)
    assert survey(open_folder(folder)).near_doubles == first


def test_of_what_was_compared_before_only_what_is_new_is(
    folder: Path, crops: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    crops[1].resize((90, 90)).save(folder / "test" / "cat" / "smaller.png")
    assert found_in(folder) == ["test/cat/smaller.png"]
    asked, alike = [], near_doubles_module._alike

    def noted(one: Any, other: Any, progress: Silent) -> Any:
        asked.append((len(one), len(other)))
        return alike(one, other, progress)

    monkeypatch.setattr(near_doubles_module, "_alike", noted)
    crops[30].resize((80, 80)).save(folder / "train" / "dog" / "first.png")
    crops[2].resize((70, 70)).save(folder / "test" / "dog" / "second.png")
    (folder / "train" / "cat" / "01.png").unlink()  # the partner of smaller.png
    crops[1].save(folder / "train" / "cat" / "01.bmp")
    again = sorted(found_in(folder))
    assert again == ["test/cat/smaller.png", "test/dog/30.png", "test/dog/second.png"]
    few = sum(one * other for one, other in asked)
    asked.clear()
    monkeypatch.setenv("KD_CACHE", str(folder.parent / "another"))
    assert sorted(found_in(folder)) == again
    assert few < sum(one * other for one, other in asked) / 2


def test_thumbnails_are_kept(
    folder: Path, crops: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more image, and its thumbnail alone is made."""
    survey(open_folder(folder))
    made = []

    def noted(file: Path, name: Path) -> Any:
        made.append(file.name)
        return small_grey(file, name)

    monkeypatch.setattr("kdcli.data.readers.small_grey", noted)
    crops[0].rotate(90).save(folder / "test" / "dog" / "new.png")
    survey(open_folder(folder))
    assert made == ["new.png"]


def test_a_turned_jpeg_is_seen_as_it_is_meant(tmp_path: Path, crops: list[Image.Image]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    crops[0].save(tmp_path / "a.jpg", exif=exif, quality=95)
    crops[0].transpose(Image.Transpose.ROTATE_270).save(tmp_path / "b.jpg", quality=95)
    one, other = (small_grey(tmp_path / n, n).astype(int) for n in ("a.jpg", "b.jpg"))
    assert abs(one - other).mean() < 1


def test_digits_have_none() -> None:
    source = open_source("digits")
    assert near_doubles(source.splits, Silent()) == []


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason="apt install dataset-fashion-mnist")
def test_fashion_mnist_has_next_to_none() -> None:
    source = open_source(str(FASHION))
    begun = time.perf_counter()
    found = near_doubles(source.splits, Silent())
    assert time.perf_counter() - begun < 0.002 * 70_000
    assert len({pair[1].row for pair in found if pair[1].split == "test"}) <= 10
