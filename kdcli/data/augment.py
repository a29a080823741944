"""Augmentation in batch, each image a pure function of (seed, view, index) and its own pixels."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kdcli.core.arrays import Doubles, Indices, Ints
from kdcli.data.order import hashes, uniform
from kdcli.data.randaugment import rand_augment
from kdcli.data.store import Store
from kdcli.recipe.data import CROPS

AUGMENTS = ("shift", "shift_flip", "crop", "crop_flip")
MIRRORED = {"shift_flip": "shift", "crop_flip": "crop"}
"""Those that mirror half of the images, and what is the same without it: for digits, letters, left
and right shoes."""

# One number of its own for everything drawn: adding one leaves the others as they are.
_DOWN, _ACROSS, _FLIP, _AREA, _ASPECT, _TOP, _LEFT, _RANDAUGMENT = range(8)


def augment(
    store: Store,
    name: str | None,
    seed: int,
    view: Ints,
    index: Indices,
    *,
    size: int | None = None,
    randaugment: str | None = None,
) -> Tensor:
    """Augmented images of a store, (B, 3, S, S): uint8, or float32 in [0, 1] where they had to be
    resized.

    name: one of AUGMENTS, or None for the images as they are · view, index: (B,), which view of
    which image each one is · size: S pixels of a side (None: as the store has them); random crops
    are taken from the larger picture, whatever else is varied is resized first · randaugment: in
    timm's words, on top. An image comes out bit-identical whatever batch it stands in: any number
    of workers makes the same student.

    Raises:
        DataError: an image that cannot be read.
        ValueError: an unknown name.
    """
    if name not in (None, *AUGMENTS):
        raise ValueError(f"unknown augmentation {name!r}; known: {', '.join(AUGMENTS)}")
    # all but the last, which RandAugment takes as bits, further down
    draws = [uniform(seed, view, index, number) for number in range(7)] if name else []
    if name in CROPS:
        images = store.crops(index, np.stack(draws[_AREA : _LEFT + 1], axis=1), size)
    else:
        images = resize(store.fetch(index), size)
    if name in ("shift", "shift_flip"):
        images = shift(images, draws[_DOWN], draws[_ACROSS])
    if name in MIRRORED:
        images = flip(images, draws[_FLIP])
    if randaugment:
        images = rand_augment(images, randaugment, hashes(seed, view, index, _RANDAUGMENT))
    return images


def unit(images: Tensor) -> Tensor:
    """uint8 levels to float32 in [0, 1]; floats are handed on."""
    return images if images.is_floating_point() else images.float().div_(255)


def shift(images: Tensor, down: Doubles, across: Doubles) -> Tensor:
    """Move each image by up to an eighth of its side each way, filling with black.

    4 of 32 pixels, as is usual on CIFAR (arXiv:1512.03385). `down`, `across`: (B,) in [0, 1). All
    images at once: every possible window is a view of the padded batch, and one of each is taken.
    """
    height, width = images.shape[-2:]
    reach_y, reach_x = max(1, height // 8), max(1, width // 8)
    padded = F.pad(images, (reach_x, reach_x, reach_y, reach_y))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, 3, 2y+1, 2x+1, H, W), a view
    top = torch.from_numpy((down * (2 * reach_y + 1)).astype(np.int64))
    left = torch.from_numpy((across * (2 * reach_x + 1)).astype(np.int64))
    return windows[torch.arange(len(images)), :, top, left]


def flip(images: Tensor, draws: Doubles) -> Tensor:
    """Mirror every second image on average, left to right: those whose draw is below one half."""
    # one by one: a whole batch takes ten times as long
    pairs = zip(images, draws < 0.5, strict=True)
    return torch.stack([image.flip(2) if mirrored else image for image, mirrored in pairs])


def resize(images: Tensor, size: int | None) -> Tensor:
    """Images with sides of `size` pixels, float32 in [0, 1]; those that have them are handed on.

    Bilinear with antialias. An image that is not square is squeezed: stores hold squares.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    return torch.cat([_resized(image, size) for image in images])


def _resized(image: Tensor, size: int) -> Tensor:
    # Contiguous, and one by one: strides and batch choose the kernel, and no two kernels promise
    # the same last bit.
    single = unit(image[None].contiguous())
    return F.interpolate(single, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)
