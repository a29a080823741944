"""From an image file to an RGB array, without torch: `kd predict` reads images so, too.

What is decided here decides pixels, and with them every result: whoever changes it counts up
`RULES` in runs/spec.py.
"""

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kdcli.core.arrays import Floats, Pixels
from kdcli.core.errors import DataError
from kdcli.core.text import shown
from kdcli.data.decoding import SLACK, Decoding
from kdcli.data.image_files import UNREAD, suffix_of
from kdcli.data.pixel_depth import (
    BeyondWhite,
    Depth,
    File,
    depth_of,
    eight_bits,
    levels_of,
    opened,
    refuse_misread,
)

USUAL = Decoding()
"""The rule where nobody has looked for one."""
STRIP = 16
"""Of an image longer than so many of its shorter sides only the middle is resized: one of 1 x
10,000 pixels would grow to two gigabytes."""

# Once and for good: catch_warnings around each image would race between the threads that decode.
# What Pillow warns of is refused below (far too many pixels), or hinders nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")


def read_image(path: str | Path, how: Decoding = USUAL, side: int | None = None) -> Pixels:
    """The image as it is meant to be seen, uint8 RGB (H, W, 3).

    EXIF orientation is applied; grey is repeated; palettes, CMYK and L*a*b* are converted; of an
    animation the first frame counts. `how` says what is behind transparent pixels, and which
    number is white where pixels have more than 8 bits. With `side` it comes at a half, a quarter,
    ... of its size (`reduction`), a JPEG at the cost of that. Raises DataError for what cannot be
    decoded or is brighter than that white, and for an image so large that it may be a decompression
    bomb.

    A file that breaks off halfway is one that cannot be decoded. Pillow can be told to fill up the
    rest (LOAD_TRUNCATED_IMAGES): with grey, and without a word.
    """
    return _decode(path, path, how, side)


def decode_image(data: bytes, name: str, how: Decoding = USUAL, side: int | None = None) -> Pixels:
    """An image file's bytes as `read_image` reads the file; `name` stands in errors."""
    return _decode(io.BytesIO(data), name, how, side)


def reduction(size: tuple[int, int], side: int | None) -> int:
    """The largest power of two by which width and height can be divided so that none falls below
    `side` pixels; 1 where they are smaller, or without a side."""
    return 1 << max(0, (min(size) // side).bit_length() - 1) if side else 1


@dataclass(frozen=True)
class Header:
    """What an image says of itself before it is decoded."""

    size: tuple[int, int]
    """Width and height in pixels, as stored."""
    depth: Depth
    transparent: bool
    """It may have transparent pixels."""


def header_of(file: File) -> Header:
    """Of an image file; raises whatever Pillow does."""
    with opened(file) as image:
        return Header(image.size, depth_of(image), image.has_transparency_data)


def brightest(file: File) -> float:
    """The largest number among its pixels, of whatever depth; raises whatever Pillow does."""
    with opened(file) as image:
        return float(levels_of(file, image).max())


def spans(file: File, backgrounds: tuple[int | None, ...]) -> list[int] | None:
    """How far the pixels of a channel differ at most, 0 to 255, on each of the backgrounds; None
    for an image without a transparent pixel. Raises whatever Pillow does."""
    with opened(file) as image:
        clear = image.convert("RGBA")
    if clear.getchannel("A").getextrema() == (255, 255):
        return None
    return [span(np.asarray(_on(clear, grey))) for grey in backgrounds]


def span(pixels: Pixels) -> int:
    """How far the pixels (H, W, 3) of a channel differ at most, 0 to 255."""
    high, low = pixels.max(axis=0).max(axis=0), pixels.min(axis=0).min(axis=0)
    return int((high - low).max())  # in two steps: over both axes at once NumPy takes far longer


def image_dimensions(file: File, name: str | Path) -> tuple[int, int]:
    """Width and height in pixels as stored, from the header alone; raises DataError."""
    try:
        with opened(file) as image:
            return image.size
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make decoders raise almost anything
        raise _unreadable(name, error) from error


def _decode(file: File, name: str | Path, how: Decoding, side: int | None) -> Pixels:
    try:
        with opened(file) as image:
            _refuse_bomb(image)
            times = reduction(image.size, side)
            # a JPEG's decoder does without up to 7 of 8 rows and columns; nobody else's does
            by_decoder = min(times, _LEAST_OF_JPEG)
            drafted = times > 1 and image.draft(
                None, (image.width // by_decoder, image.height // by_decoder)
            )
            turned = _rgb(file, image, how)
            rest = times // by_decoder if drafted else times
            return np.asarray(turned.reduce(rest) if rest > 1 else turned)
    except MemoryError:  # nothing is wrong with the image
        raise
    except Exception as error:  # as above
        raise _unreadable(name, error) from error


_LEAST_OF_JPEG = 8
"""It decodes at a half, a quarter or an eighth."""


def _refuse_bomb(image: Image.Image) -> None:
    """At the limit from which Pillow itself would only warn: 89 million pixels, which are 268 MB of
    RGB; it raises at twice that. Told from the header, before anything is decoded."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError


def fit(array: Pixels, size: int, crop_pct: float = 1.0) -> Pixels:
    """The square in the middle of an image, uint8 (size, size, 3), as evaluation shows it.

    The shorter side is resized to size / `crop_pct`, bicubic, then the middle is cut out: the very
    pixels of timm's own transform, with its roundings, for images up to `STRIP`. Exported with
    `--resize`, the graph does the same (docs/deploy.md).
    """
    longest = STRIP * min(array.shape[:2])
    top, left = (max(0, side - longest) // 2 for side in array.shape[:2])
    array = array[top : top + longest, left : left + longest]
    height, width = array.shape[:2]
    scaled, short = math.floor(size / crop_pct), min(height, width)
    tall, wide = scaled * height // short, scaled * width // short
    if (tall, wide) != (height, width):
        resized = Image.fromarray(array).resize((wide, tall), Image.Resampling.BICUBIC)
        array = np.asarray(resized)
    top, left = round((tall - size) / 2), round((wide - size) / 2)
    return array[top : top + size, left : left + size]


def resize(image: Floats, size: int) -> Floats:
    """An image in [0, 1], (H, W, 3), at (size, size, 3), bicubic and not rounded.

    As torch's bicubic interpolation with antialias, which took its kernel from Pillow. For models
    that take another size than images were cut to: they are resized a second time.
    """
    if image.shape[:2] == (size, size):
        return image
    # a channel at a time: of floats Pillow knows one-channel images alone
    channels = (Image.fromarray(image[..., i]) for i in range(image.shape[2]))
    bicubic = Image.Resampling.BICUBIC
    resized = [np.asarray(channel.resize((size, size), bicubic)) for channel in channels]
    return np.stack(resized, axis=-1).clip(0, 1)  # bicubic overshoots at edges


def _rgb(file: File, image: Image.Image, how: Decoding) -> Image.Image:
    refuse_misread(image)
    depth = depth_of(image)
    if depth == "float":
        turned = eight_bits(levels_of(file, image), how.float_white, SLACK * how.float_white)
    elif depth == "integer" and not (image.mode[0] == "R" and how.integer_white == 0xFFFF):
        turned = eight_bits(levels_of(file, image), how.integer_white)
    else:  # of colours of 16 bits Pillow takes the upper bytes: right where all 16 are used
        turned = image
        turned.load()  # before anything is asked of it: some formats know more then
        ImageOps.exif_transpose(turned, in_place=True)  # not a copy of what lies as it should
    if turned.has_transparency_data:
        turned = _on(turned.convert("RGBA"), how.background)
    return turned if turned.mode == "RGB" else turned.convert("RGB")


def _on(clear: Image.Image, grey: int | None) -> Image.Image:
    """RGBA in front of a grey level; with None its colours as they are stored."""
    if grey is None:
        return clear.convert("RGB")
    behind = Image.new("RGBA", clear.size, (grey, grey, grey, 255))
    return Image.alpha_composite(behind, clear).convert("RGB")


def _unreadable(path: str | Path, error: Exception) -> DataError:
    if isinstance(error, Image.DecompressionBombError):
        return DataError(f"{shown(path)}: far too many pixels to be a photograph", "scale it down")
    if isinstance(error, FileNotFoundError):
        link = Path(path).is_symlink()
        return DataError(f"{shown(path)}: {'a link to no file' if link else 'no such file'}")
    if suffix_of(path) in UNREAD and isinstance(error, UnidentifiedImageError):
        name = suffix_of(path).upper()
        return DataError(f"{shown(path)}: {name} is not read", "convert it to JPEG or PNG")
    if isinstance(error, UnidentifiedImageError):
        reason = "the file is empty" if _is_empty(path) else "no image format that is known"
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
    else:
        reason = str(error) or type(error).__name__
    fix = "repair the file, or take it out of the folder"
    if isinstance(error, BeyondWhite):
        fix = "scale all images of the set alike, say to 0 to 255"
    return DataError(f"{shown(path)}: not a readable image ({reason})", fix)


def _is_empty(path: str | Path) -> bool:
    file = Path(path)
    return file.is_file() and file.stat().st_size == 0
