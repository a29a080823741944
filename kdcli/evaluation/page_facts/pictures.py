"""Test images as small data URIs: as the models see them, and under their attention maps."""

import base64
import io
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from kdcli.core.arrays import Floats, Pixels
from kdcli.data.images import fit
from kdcli.data.source import Split

SIDE = 112
"""Pixels of a thumbnail's side at most."""
MOST_BYTES = 7000
"""Of its file; a noisy picture is compressed harder."""
_SMALL = 64
"""Sides up to which a picture is kept as it is."""

Draw = Callable[[int], Pixels]
"""(S, S, 3) of an image, by its place in the split."""


def drawer(split: Split, image_size: int, crop_pct: float) -> Draw:
    """What a model sees of each image, at most `SIDE` pixels wide; raises DataError where one
    cannot be read."""

    @cache
    def draw(i: int) -> Pixels:
        square = fit(split.read(i), image_size, crop_pct)
        return square if image_size <= SIDE else _resized(square, SIDE)

    return draw


def uri(pixels: Pixels) -> str:
    """A small picture as PNG, a larger one as JPEG."""
    image, out = Image.fromarray(pixels), io.BytesIO()
    kind = "png" if image.width <= _SMALL else "jpeg"
    if kind == "png":
        image.save(out, "PNG", optimize=True)
    if kind == "jpeg" or out.tell() > MOST_BYTES:
        kind = "jpeg"
        for quality in (85, 60, 35, 10):
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality, optimize=True)
            if out.tell() <= MOST_BYTES:
                break
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"


RAMP = np.array(
    [(0, 32, 76), (60, 77, 110), (124, 123, 120), (187, 173, 108), (255, 234, 70)], np.float64
)
"""Cividis in five steps: alike to who sees red and green as one."""


def under(pixels: Pixels, energy: Floats) -> Pixels:
    """A grey picture with a map of (h, w) energies over it, from its lowest to its highest."""
    side = max(pixels.shape[0], 96)
    low, high = float(energy.min()), float(energy.max())
    level = (energy - low) / (high - low) if high > low else np.zeros_like(energy)
    smooth = Image.fromarray((255 * level).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    heat = np.asarray(smooth, np.float64) / 255 * (len(RAMP) - 1)
    lower = np.floor(heat).astype(int).clip(0, len(RAMP) - 2)
    part = (heat - lower)[..., None]
    colours = RAMP[lower] * (1 - part) + RAMP[lower + 1] * part
    grey = np.asarray(Image.fromarray(_resized(pixels, side)).convert("L"), np.float64)
    mixed = 0.62 * colours + 0.38 * grey[..., None]
    found: Pixels = mixed.round().astype(np.uint8)
    return found


def _resized(pixels: Pixels, side: int) -> Pixels:
    if pixels.shape[0] == side:
        return pixels
    how = Image.Resampling.NEAREST if pixels.shape[0] < side else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(pixels).resize((side, side), how))
