"""Files that do not say what they look like: known values come out, by one rule for a data set."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from odd_images import COLOURS, HALF, RAMP, deep, misread, saved, tiff, transparent, write
from PIL import Image

from kdcli.core.errors import DataError
from kdcli.data.decoding import UNTOLD, Decoding
from kdcli.data.images import decode_image, read_image
from kdcli.data.open import open_source

FULL, TWELVE = 65535, 4095


@pytest.mark.parametrize("name", transparent())
@pytest.mark.parametrize("grey", [255, 0, 128])
def test_transparent_pixels_show_what_is_behind(name: str, grey: int) -> None:
    found = decode_image(transparent()[name], name, Decoding(grey))
    stored = RAMP[..., None] if "la" in name or "palette" in name or "grey" in name else COLOURS
    clear = HALF == 0
    if "key" in name:
        clear = (stored == stored[2, 2]).all(axis=2)
    elif "palette" in name:
        clear = RAMP == 0
    assert clear.any()
    assert (found == np.where(clear[..., None], grey, stored)).all()


def test_half_transparent_pixels_are_mixed() -> None:
    image = Image.fromarray(np.full((2, 2, 4), (200, 100, 0, 128), np.uint8))
    found = decode_image(saved(image, "PNG"), "x", Decoding(255))
    assert found[0, 0].tolist() == [227, 177, 127]  # 255 + (c - 255) * 128 / 255, rounded


def test_without_a_background_the_stored_colours_show() -> None:
    assert (decode_image(transparent()["rgba.png"], "x", UNTOLD) == COLOURS).all()


@pytest.mark.parametrize("white", [FULL, TWELVE, 1023, 255])
@pytest.mark.parametrize("name", deep(FULL))
def test_numbers_are_scaled_by_what_is_white(name: str, white: int) -> None:
    found = decode_image(deep(white)[name], name, Decoding(integer_white=white)).astype(int)
    expected = COLOURS if name.startswith("rgb") else RAMP[..., None]
    expected = np.rot90(expected, -1) if "turned" in name else expected
    # 65,535 of colours: Pillow's own upper bytes, which are cut off
    assert np.abs(found - expected).max() <= (name.startswith("rgb") and white == FULL)


@pytest.mark.parametrize("white", [1.0, 255.0, 4095.0])
def test_floats_are_scaled_and_a_little_overshoot_is_cut_off(white: float) -> None:
    floats = (RAMP / 255 * white).astype(np.float32)
    how = Decoding(float_white=white)
    assert (decode_image(tiff(floats), "x", how)[..., 0] == RAMP).all()
    over = floats * 1.15 - 0.05 * white
    assert decode_image(tiff(over), "x", how)[0, 0, 0] == 0


@pytest.mark.parametrize(
    ("pixels", "how"),
    [
        (RAMP.astype(np.uint16) * 100, Decoding(integer_white=4095)),
        (RAMP.astype(np.int32) - 9, Decoding()),
        (RAMP.astype(np.float32), Decoding()),
        (RAMP.astype(np.float32) / 100 - 1, Decoding()),
        (np.full((6, 8), np.nan, np.float32), Decoding()),
    ],
    ids=["brighter than white", "negative", "bright floats", "negative floats", "nan"],
)
def test_numbers_beyond_white_are_refused(
    pixels: NDArray[np.generic], how: Decoding, tmp_path: Path
) -> None:
    (path,) = write(tmp_path, {"a.tif": tiff(pixels)})
    with pytest.raises(DataError, match=r"a\.tif: not a readable image \(pixels of .* is white"):
        read_image(path, how)


@pytest.mark.parametrize("name", misread())
def test_what_pillow_misreads_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="not a readable image"):
        decode_image(misread()[name], name)


def test_inks_are_no_light() -> None:
    """JPEG stores CMYK the other way round than TIFF (Adobe's)."""
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for form in ("JPEG", "TIFF"):
        assert decode_image(saved(red, form, quality=100), form)[4, 4].tolist() == [255, 0, 0]


def test_the_first_frame_counts() -> None:
    pages = [Image.fromarray(COLOURS), Image.fromarray(COLOURS // 2)]
    for form in ("TIFF", "GIF"):
        data = saved(pages[0], form, save_all=True, append_images=pages[1:])
        assert np.abs(decode_image(data, form).astype(int) - COLOURS).mean() < 6  # GIF: 256 colours


# One rule for a data set -------------------------------------------------------------------------


def data_set(folder: Path, *kinds: NDArray[np.generic]) -> Path:
    """Two classes of 12 images, each a further roll of one of these arrays, of 32 x 32."""
    for i in range(24):
        array = np.roll(kinds[i % len(kinds)], i, axis=0)
        byte = array.dtype == np.uint8
        content = saved(Image.fromarray(array), "PNG") if byte else tiff(array)
        write(folder / "ab"[i % 2], {f"{i}.{'png' if byte else 'tif'}": content})
    return folder


def shape(colour: int) -> NDArray[np.uint8]:
    """A disc that lives in the alpha channel alone, in front of nothing."""
    y, x = np.mgrid[:32, :32]
    alpha = np.where((x - 16) ** 2 + (y - 8) ** 2 < 49, 255, 0)
    return np.dstack([np.full((32, 32, 3), colour), alpha]).astype(np.uint8)


def square(high: float, kind: type[np.generic]) -> NDArray[np.generic]:
    return np.linspace(0, high, 1024).reshape(32, 32).astype(kind)


UNSEEN = np.dstack([np.resize(COLOURS, (32, 32, 3)), np.zeros((32, 32), np.uint8)])


@pytest.mark.parametrize(
    ("kinds", "rule", "said"),
    [
        ([shape(0)], Decoding(), "put on white"),
        ([shape(255)], Decoding(0), "put on black, as 17 of them would show nothing on white"),
        ([shape(0), shape(255)], Decoding(128), "put on grey"),
        ([UNSEEN], Decoding(None), "shown without transparency"),
        ([square(65535, np.uint16)], Decoding(), "65,535 is taken for white"),
        ([square(4000, np.uint16)], Decoding(integer_white=4095), "4,095 is taken for white"),
        ([square(255, np.uint16)], Decoding(integer_white=255), "255 is taken for white"),
        ([square(255, np.int32)], Decoding(integer_white=255), "255 is taken for white"),
        ([square(1, np.float32)], Decoding(), "1 is taken for white"),
        ([square(250, np.float32)], Decoding(float_white=255.0), "255 is taken for white"),
        ([square(4000, np.uint16), shape(255)], Decoding(0, 4095), "4,095"),
    ],
)
def test_the_images_show_the_rule(
    kinds: list[NDArray[np.generic]], rule: Decoding, said: str, tmp_path: Path
) -> None:
    source = open_source(str(data_set(tmp_path, *kinds)))
    assert source.decoding == rule
    assert said in " ".join(source.notes)
    for split in source.splits.values():
        for i in range(len(split)):
            assert np.ptp(split.read(i)) > 200 - 100 * (rule.background == 128), "it shows"
    assert source.identity.get("decoding") == (None if rule == Decoding() else rule.as_dict())


def test_a_dark_image_is_as_dark_as_in_the_others(tmp_path: Path) -> None:
    """By itself it would be scaled to white."""
    folder = data_set(tmp_path, square(4000, np.uint16), square(200, np.uint16))
    source = open_source(str(folder))
    highest = sorted({int(source.train.read(i).max()) for i in range(len(source.train))})
    assert highest == [12, 249]  # 200 and 4,000 of 4,095


def test_ordinary_images_need_no_rule(tmp_path: Path) -> None:
    opaque = np.dstack([np.resize(COLOURS, (32, 32, 3)), np.full((32, 32), 255)])
    source = open_source(str(data_set(tmp_path, square(255, np.uint8), opaque.astype(np.uint8))))
    assert source.decoding == Decoding()
    assert not [note for note in source.notes if "white" in note or "transparent" in note]


def test_a_rule_as_text() -> None:
    for how in (Decoding(), Decoding(0, 4095, 255.0), UNTOLD):
        assert Decoding.from_texts(how.as_texts()) == how
        assert Decoding.from_dict(how.as_dict()) == how
    assert Decoding.from_texts({}) == Decoding.from_dict(None) == UNTOLD
    for wrong in ({"kd.background": "12"}, {"kd.background": "0", "kd.white.integer": "0"}):
        with pytest.raises(ValueError, match="nobody knows"):
            Decoding.from_texts(wrong)
