"""Which files are images: by their names, and where a name says nothing by their first bytes.

A list of our own, not all that Pillow knows: of some formats it reads a preview or the first page
alone, of others (EPS, PDF) by starting Ghostscript; and what counts as an image should not hang on
which Pillow is there.
"""

import re
from pathlib import Path

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "PNG": ("png", "apng"),
    "BMP": ("bmp",),
    "GIF": ("gif",),
    "PPM": ("ppm", "pgm", "pbm", "pnm", "pfm"),
    "TIFF": ("tif", "tiff"),
    "WEBP": ("webp",),
    "AVIF": ("avif", "avifs"),
    "JPEG2000": ("jp2", "j2k", "jpc", "jpf", "jpx", "j2c"),
    "DIB": ("dib",),
    "PCX": ("pcx",),
    "QOI": ("qoi",),
    "SGI": ("sgi",),
    "TGA": ("tga",),
}
"""Pillow's names of the formats that are read, and the endings of their files. Those first that it
knows without importing anything; TGA, which has no first bytes to be told by, last."""
UNREAD = frozenset(("heic", "heif", "jxl"))
"""Photographs that Pillow cannot read. They count as images, so that they are refused by name: left
out without a word, half of a telephone's pictures would be missing."""
SUFFIXES = UNREAD.union(*FORMATS.values())
VIDEOS = frozenset(
    "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv".split()  # noqa: SIM905
)

# https://www.iana.org/assignments/media-types has the format of each; TGA has no such mark.
_MARKS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II[*+]\x00|MM\x00[*+]|qoif"
    rb"|\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51|....ftyp(?:avi[fs]|hei[cfx]|mif1|msf1)"
    rb"|BM....\x00\x00\x00\x00|P[1-6]\s+[\d#]",
    re.DOTALL,
)
MARK_BYTES = 16
_SUFFIX = re.compile(r"[^/\\]\.([A-Za-z]\w{0,9})$")


def suffix_of(path: str | Path) -> str:
    """`jpg` of `a/b.JPG`; empty where a dot begins no suffix (`St. Bernard 3`, `val.00000001`)."""
    found = _SUFFIX.search(str(path))
    return found[1].lower() if found else ""


def is_image_name(path: str | Path) -> bool:
    """Whether the suffix is that of an image, in any case of letters."""
    return suffix_of(path) in SUFFIXES


def begins_as_image(path: str | Path) -> bool:
    """Whether a file's first bytes are those of an image; raises OSError."""
    with Path(path).open("rb") as stream:
        return _MARKS.match(stream.read(MARK_BYTES)) is not None
