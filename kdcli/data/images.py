"""From an image file to an RGB array, without torch: `kd predict` reads images so, too.

What is decided here decides pixels, and with them every result: whoever changes it counts up
`RULES` in runs/spec.py.
"""

import io
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from kdcli.core.arrays import Floats, Pixels
from kdcli.core.errors import DataError
from kdcli.core.text import shown
from kdcli.data.image_files import FORMATS, UNREAD, suffix_of

# Once and for good: catch_warnings around each image would race between the threads that decode.
# What Pillow warns of is refused below (far too many pixels), or hinders nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")


def read_image(path: str | Path) -> Pixels:
    """The image as it is meant to be seen, uint8 RGB (H, W, 3).

    EXIF orientation is applied; grey is repeated and 16-bit grey scaled to 8 bits; palettes and
    CMYK are converted; alpha is dropped (transparent pixels show their stored colour); of an
    animation the first frame counts. Raises DataError for what cannot be decoded, and for an
    image so large that it may be a decompression bomb.

    A file that breaks off halfway is one that cannot be decoded. Pillow can be told to fill up the
    rest (LOAD_TRUNCATED_IMAGES): with grey, and without a word.
    """
    return _decode(path, path)


def decode_image(data: bytes, name: str) -> Pixels:
    """An image file's bytes as `read_image` reads the file; `name` stands in errors."""
    return _decode(io.BytesIO(data), name)


def image_dimensions(file: str | Path | IO[bytes], name: str | Path) -> tuple[int, int]:
    """Width and height in pixels as stored, from the header alone; raises DataError."""
    try:
        with Image.open(file, formats=tuple(FORMATS)) as image:
            return image.size
    except Exception as error:  # damaged bytes make decoders raise almost anything
        raise _unreadable(name, error) from error


def _decode(file: str | Path | IO[bytes], name: str | Path) -> Pixels:
    try:
        with Image.open(file, formats=tuple(FORMATS)) as image:
            _refuse_bomb(image)
            return np.asarray(_rgb(ImageOps.exif_transpose(image)))
    except Exception as error:  # as above
        raise _unreadable(name, error) from error


def _refuse_bomb(image: Image.Image) -> None:
    """At the limit from which Pillow itself would only warn: 89 million pixels, which are 268 MB of
    RGB; it raises at twice that. Told from the header, before anything is decoded."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError


def fit(array: Pixels, size: int) -> Pixels:
    """Centre square of the image at `size` pixels, uint8 (size, size, 3), bicubic.

    What is outside the square is never trained on; stretching it all into the square would change
    what things look like. Exported with `--resize`, the graph does the same (docs/deploy.md).
    """
    height, width = array.shape[:2]
    if height == width == size:
        return array
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    # Cropping first keeps a 1 x 10,000 strip from growing to a gigabyte.
    square = Image.fromarray(array[top : top + side, left : left + side])
    return np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))


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


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _eight_bits(np.asarray(image))
    elif image.mode == "F":  # `convert` would clip them to 0 to 255, whatever they mean
        raise ValueError("its pixels are floating-point numbers of no known range")
    return image.convert("RGB")


def _eight_bits(grey: NDArray[Any]) -> Image.Image:
    """16-bit grey scaled to 8; `convert` alone would clip it to white: all above 255 of 65,535."""
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise ValueError("its pixels have more than 16 bits")
    return Image.fromarray(np.round(grey / 257).astype(np.uint8))  # 65,535 / 257 = 255


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
    return DataError(
        f"{shown(path)}: not a readable image ({reason})",
        "repair the file, or take it out of the folder",
    )


def _is_empty(path: str | Path) -> bool:
    file = Path(path)
    return file.is_file() and file.stat().st_size == 0
