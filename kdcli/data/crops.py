"""Random parts of a picture, each a pure function of four draws and the picture's size."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kdcli.core.arrays import Doubles, Pixels

AREA = (0.35, 1.0)
"""Share of the picture that a random crop keeps. Milder than Inception's 0.08 to 1
(arXiv:1409.4842), which torchvision and timm take for hundreds of epochs of ImageNet; a choice, not
measured here."""
ASPECT = (3 / 4, 4 / 3)
"""Width over height of a random crop, drawn on a log scale: Inception's, as torchvision has it."""


def part_of(width: int, height: int, draws: Doubles) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a part of a picture, in whole pixels.

    draws: area, aspect, top, left in [0, 1), scaled to `AREA`, `ASPECT` and the room that is left.
    The part is a share of the picture, however many pixels that has. One that would be longer than
    a side is cut to it, where torchvision draws again: here each has as many draws as any other.
    """
    area, aspect, top, left = draws.tolist()
    pixels = (AREA[0] + area * (AREA[1] - AREA[0])) * height * width
    ratio = math.exp(math.log(ASPECT[0]) + aspect * math.log(ASPECT[1] / ASPECT[0]))
    tall = min(max(round(math.sqrt(pixels / ratio)), 1), height)
    wide = min(max(round(math.sqrt(pixels * ratio)), 1), width)
    y, x = int(top * (height - tall + 1)), int(left * (width - wide + 1))
    return x, y, x + wide, y + tall


def crop(picture: Pixels, draws: Doubles, size: int) -> Tensor:
    """A random part of a picture (H, W, 3), resized to uint8 (3, `size`, `size`)."""
    left, top, right, bottom = part_of(picture.shape[1], picture.shape[0], draws)
    return resized(picture[top:bottom, left:right], size)


def resized(part: Pixels, size: int) -> Tensor:
    """Squeezed into uint8 (3, `size`, `size`): bilinear with antialias, in one pass.

    torch's, three times as fast as Pillow's and as exact: on bytes it computes in whole numbers,
    with any instructions of a processor to the same bit (`tests/data/test_crops.py`).
    """
    whole = torch.from_numpy(np.array(part))  # copied: torch wants rows in one piece, and writable
    single = whole.permute(2, 0, 1)[None]
    return F.interpolate(single, size=(size, size), mode="bilinear", antialias=True)[0]


def crops(images: Tensor, draws: Doubles, size: int | None) -> Tensor:
    """The same of each of the images, uint8 (B, 3, H, W), by its row of the draws (B, 4); `size`
    None: that of the images."""
    pictures = images.permute(0, 2, 3, 1).numpy()
    side = size or images.shape[-1]
    return torch.stack([crop(one, row, side) for one, row in zip(pictures, draws, strict=True)])
