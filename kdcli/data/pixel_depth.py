"""Images whose pixels have more than 8 bits: told apart, read in full, and scaled to 8."""

import sys
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from kdcli.data.image_files import FORMATS

File = str | Path | IO[bytes]
"""What Pillow opens."""
Depth = Literal["bytes", "integer", "float"]
"""Of pixels; `integer` are those of more than 8 bits."""


def opened(file: File) -> ImageFile.ImageFile:
    """Its header is read; of the formats of kd's list alone. Raises whatever Pillow does."""
    return Image.open(file, formats=tuple(FORMATS))


class BeyondWhite(ValueError):
    """Pixels that lie outside black to white."""


def depth_of(image: Image.Image) -> Depth:
    """Told from the header."""
    if image.mode == "F":
        return "float"
    deep = image.mode == "I" or image.mode.startswith("I;16") or bool(_lower_bytes(image))
    return "integer" if deep else "bytes"


_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def _lower_bytes(image: Image.Image) -> str:
    """Pillow has no mode for colours of 16 bits, and takes the upper byte of each. Read in the
    other byte order the same file gives the lower ones: in these words; empty for other images."""
    tiles: Any = getattr(image, "tile", ())
    said = tiles[0][3] if tiles else ""  # the decoder's arguments
    words = said[0] if isinstance(said, tuple) and said else said
    colours, _, order = words.partition(";16") if isinstance(words, str) else ("", "", "")
    known = colours in ("RGB", "RGBA", "RGBX") and order in _OTHER_ORDER
    return f"{colours};16{_OTHER_ORDER[order]}" if known else ""


def levels_of(file: File, image: Image.Image) -> NDArray[Any]:
    """Its numbers, turned as EXIF says: (H, W), or (H, W, 3 or 4) of colours of 16 bits."""
    if not (words := _lower_bytes(image)):
        return np.asarray(ImageOps.exif_transpose(image))
    levels = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16) * 256
    with opened(file) as low:  # behind the above, which may read the same stream
        low.tile = [_reworded(tile, words) for tile in low.tile]
        levels += np.asarray(ImageOps.exif_transpose(low))
    return levels


def _reworded(tile: Any, words: str) -> Any:
    said = tile[3]
    return tile._replace(args=words if isinstance(said, str) else (words, *said[1:]))


def eight_bits(levels: NDArray[Any], white: float, slack: float = 0) -> Image.Image:
    """Scaled so that `white` is 255; `convert` alone would cut off all above 255.

    Raises BeyondWhite for pixels that lie outside 0 to white by more than `slack`.
    """
    low, high = float(levels.min()), float(levels.max())
    if not (low >= -slack and high <= white + slack):  # NaN, too
        raise BeyondWhite(
            f"pixels of {low:,g} to {high:,g}, while {white:,g} is white in these data"
        )
    return Image.fromarray(np.round(levels / (white / 255)).clip(0, 255).astype(np.uint8))


def refuse_misread(image: Image.Image) -> None:
    """Raise ValueError for TIFF files of which Pillow makes other images than they hold."""
    tags: Any = getattr(image, "tag_v2", {})
    bits, kinds = (tags.get(tag) or (0,) for tag in (_BITS, _KIND))
    if tags.get(_PLANAR) == 2 and max(bits) > 8:
        raise ValueError("colours of more than 8 bits in planes of their own")
    if max(bits) == 8 and 2 in kinds:
        raise ValueError("bytes with a sign")
    if tags.get(_PHOTOMETRIC) == 0 and max(bits) > 8:
        raise ValueError("more than 8 bits, and 0 is white")


_BITS, _PHOTOMETRIC, _PLANAR, _KIND = 258, 262, 284, 339
"""Tags of TIFF 6.0: BitsPerSample, PhotometricInterpretation, PlanarConfiguration, SampleFormat."""
