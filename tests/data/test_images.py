"""Every usual image file becomes RGB; what cannot be read is named."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from timm.data.transforms_factory import create_transform

from kdcli.core.errors import DataError, ExitCode
from kdcli.data.image_files import is_image_name
from kdcli.data.images import fit, read_image, reduction

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    array = read_image(saved(tmp_path / f"a.{suffix}", Image.fromarray(GREY).convert(mode)))
    assert array.shape == (6, 8, 3)
    assert array.dtype == np.uint8


def test_grey_is_repeated(tmp_path: Path) -> None:
    array = read_image(saved(tmp_path / "a.png", Image.fromarray(GREY)))
    assert (array == GREY[..., None]).all()


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    deep = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert (read_image(saved(tmp_path / "a.png", deep))[..., 0] == GREY).all()


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen, turn it clockwise
    path = saved(tmp_path / "a.png", Image.fromarray(GREY), exif=exif)
    assert (read_image(path)[..., 0] == np.rot90(GREY, -1)).all()


def damaged(folder: Path, kind: str) -> Path:
    path = folder / "bad image é.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    saved(path, Image.fromarray(noise))
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[:-900], "empty": b"", "text": b"not an image"}[kind])
    return path


@pytest.mark.parametrize("kind", ["truncated", "empty", "text"])
def test_damaged_files_are_named(tmp_path: Path, kind: str) -> None:
    path = damaged(tmp_path, kind)
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert caught.value.code == ExitCode.DATA
    assert str(path) in caught.value.what
    assert caught.value.fix


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("pixels", [40, 20])  # Pillow warns above the limit, raises above twice it
def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    path = saved(tmp_path / "bomb.png", Image.fromarray(GREY))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
    with pytest.raises(DataError, match=r"bomb\.png: far too many pixels"):
        read_image(path)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "a.png")


def test_names() -> None:
    assert is_image_name("a/b.JPG")
    assert not is_image_name("a/jpg")
    assert not is_image_name("labels.csv")


@pytest.mark.parametrize("crop_pct", [1.0, 0.95, 0.875, 0.5])
@pytest.mark.parametrize("sides", [(375, 500), (500, 375), (251, 333), (1, 1000), (30, 10), (9, 9)])
def test_fit_is_timms_transform(sides: tuple[int, int], crop_pct: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*sides, 3), dtype=np.uint8)
    for size in (32, 33, 224) if min(sides) > 1 else (32, 33):
        how = {"interpolation": "bicubic", "crop_pct": crop_pct, "normalize": False}
        theirs = create_transform((3, size, size), **how)(Image.fromarray(image))
        assert (fit(image, size, crop_pct) == theirs.permute(1, 2, 0).numpy()).all(), size


def test_fit_of_a_strip_stays_small() -> None:
    """The whole of it resized would be 6 GB."""
    assert fit(np.zeros((1, 50_000, 3), np.uint8), 224, 0.875).shape == (224, 224, 3)


def test_fit_leaves_the_right_size_alone() -> None:
    square = np.zeros((8, 8, 3), np.uint8)
    assert np.shares_memory(fit(square, 8), square)


def test_reading_images_needs_no_torch() -> None:
    program = "import sys, kdcli.data.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((400, 300), 100, 2), ((400, 300), 75, 4), ((400, 300), 301, 1), ((20, 9000), 32, 1)],
)
def test_sides_are_divided_while_both_stay_long_enough(
    size: tuple[int, int], side: int, expected: int
) -> None:
    assert reduction(size, side) == expected
    assert reduction(size, None) == 1


def test_a_reduced_photograph_is_the_decoders_or_the_mean_of_squares(tmp_path: Path) -> None:
    smooth = Image.effect_noise((20, 13), 80).resize((801, 515), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in ("a.png", "a.jpg", "turned.jpg"):
        colour = smooth.convert("RGB")
        colour.save(
            tmp_path / name, **({"exif": turned, "quality": 95} if "turned" in name else {})
        )
    png = read_image(tmp_path / "a.png", side=100)
    assert np.array_equal(png, smooth.convert("RGB").reduce(4))
    jpeg = read_image(tmp_path / "a.jpg", side=100)
    with Image.open(tmp_path / "a.jpg") as image:
        image.draft(None, (200, 128))
        assert np.array_equal(jpeg, image)
    assert jpeg.shape == png.shape == (129, 201, 3)
    assert read_image(tmp_path / "turned.jpg", side=100).shape == (201, 129, 3)
    tiny = read_image(tmp_path / "a.jpg", side=16)  # an eighth by the decoder, the rest by squares
    assert tiny.shape == (17, 26, 3)
    assert np.abs(tiny.astype(int) - smooth.convert("RGB").reduce(32)).mean() < 3
