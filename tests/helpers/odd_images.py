"""Image files of every odd kind, of known values."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
"""(6, 8), 0 to 235."""
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)
"""(6, 8, 3)."""
HALF = np.where(RAMP < 100, 0, 255).astype(np.uint8)
"""(6, 8): an alpha channel."""


def png16(pixels: NDArray[np.integer], colour_type: int) -> bytes:
    """A PNG of 16 bits: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA; Pillow writes none in colour."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff(
    pixels: NDArray[np.generic],
    *,
    photometric: int | None = None,
    planes: bool = False,
    extra: int | None = None,
    order: str = "<",
) -> bytes:
    """An uncompressed TIFF 6.0 of any depth; `planes`: one channel behind the other."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    stored = np.moveaxis(pixels, 2, 0) if planes else pixels
    data = stored.astype(pixels.dtype.newbyteorder(order)).tobytes()
    strips = channels if planes else 1
    tags: dict[int, list[int]] = {
        256: [pixels.shape[1]],
        257: [pixels.shape[0]],
        258: [8 * pixels.dtype.itemsize] * channels,
        259: [1],
        262: [(2 if channels >= 3 else 1) if photometric is None else photometric],
        273: [0] * strips,
        277: [channels],
        278: [pixels.shape[0]],
        279: [len(data) // strips] * strips,
        284: [2 if planes else 1],
        339: [{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * channels,
    }
    tags |= {338: [extra]} if extra is not None else {}
    first = 8 + 2 + 12 * len(tags) + 4
    room = sum(size for tag in tags if (size := len(_packed(tags, tag, order))) > 4)
    tags[273] = [first + room + i * len(data) // strips for i in range(strips)]
    entries, beside = b"", b""
    for tag in sorted(tags):
        value = _packed(tags, tag, order)
        if len(value) > 4:
            beside += value
            value = struct.pack(order + "I", first + len(beside) - len(value))
        kind = 4 if tag in (273, 279) else 3
        entries += struct.pack(order + "HHI", tag, kind, len(tags[tag])) + value.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return start + struct.pack(order + "H", len(tags)) + entries + bytes(4) + beside + data


def _packed(tags: dict[int, list[int]], tag: int, order: str) -> bytes:
    return struct.pack(order + ("I" if tag in (273, 279) else "H") * len(tags[tag]), *tags[tag])


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """As Pillow writes it."""
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def transparent() -> dict[str, bytes]:
    """COLOURS or RAMP, seen where `HALF` is 255, in each way that a file may say so."""
    rgba = Image.fromarray(np.dstack([COLOURS, HALF]))
    grey = np.dstack([RAMP, HALF])
    alone = Image.fromarray(COLOURS)
    return {
        "rgba.png": saved(rgba, "PNG"),
        "rgba.webp": saved(rgba, "WEBP", lossless=True, exact=True),
        "la.png": saved(Image.fromarray(grey, "LA"), "PNG"),
        "la.tif": tiff(grey, photometric=1, extra=2),
        "premultiplied.tif": tiff(np.dstack([COLOURS * (HALF > 0)[..., None], HALF]), extra=1),
        "palette.png": saved(Image.fromarray(RAMP).convert("P"), "PNG", transparency=0),
        "palette.gif": saved(Image.fromarray(RAMP).convert("P"), "GIF", transparency=0),
        "key.png": saved(alone, "PNG", transparency=tuple(COLOURS[2, 2].tolist())),
        "grey_key.png": saved(Image.fromarray(RAMP), "PNG", transparency=int(RAMP[2, 2])),
    }


def deep(white: int) -> dict[str, bytes]:
    """RAMP or COLOURS in numbers of more than 8 bits, 0 to `white`, which is below 65,536."""
    grey = np.round(RAMP / 255 * white).astype(np.uint16)
    colours = np.round(COLOURS / 255 * white).astype(np.uint16)
    alpha = np.full((6, 8), white, np.uint16)
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "grey.png": png16(grey, 0),
        "grey.tif": tiff(grey),
        "grey_be.tif": tiff(grey, order=">"),
        "grey_lzw.tif": saved(Image.fromarray(grey), "TIFF", compression="tiff_lzw"),
        "grey_turned.png": saved(Image.fromarray(grey), "PNG", exif=turned),
        "grey32.tif": tiff(grey.astype(np.int32)),
        "signed.tif": tiff(grey.astype(np.int16)) if white < 32768 else tiff(grey),
        "rgb.png": png16(colours, 2),
        "rgba.png": png16(np.dstack([colours, alpha]), 6),
        "rgb.tif": tiff(colours),
        "rgb_be.tif": tiff(colours, order=">"),
        "rgb_x.tif": tiff(np.dstack([colours, alpha]), extra=0),
    }


def misread() -> dict[str, bytes]:
    """What Pillow would make other images of than they hold."""
    wide = COLOURS.astype(np.uint16) * 257
    return {
        "planes.tif": tiff(wide, planes=True),
        "signed_bytes.tif": tiff(RAMP.astype(np.int8)),
        "zero_is_white.tif": tiff(RAMP.astype(np.uint16) * 257, photometric=0),
    }


def write(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """The files, by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]
