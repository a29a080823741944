"""RandAugment (Cubuk et al. 2019, arXiv:1909.13719) through timm, each image from its own key."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from kdcli.core.arrays import Hashes
from kdcli.data.order import seeded_globals


def rand_augment(images: Tensor, text: str, keys: Hashes) -> Tensor:
    """Varied images, uint8 (B, 3, H, W), each from its own of the `keys` (B,).

    images: uint8 levels, or floats in [0, 1], which are rounded to them. `text` is in timm's words
    (`recipe.data.check_randaugment` has refused others).
    """
    change = _transform(text)
    pixels = _levels(images).permute(0, 2, 3, 1).contiguous().numpy()
    varied = np.empty_like(pixels)
    for i, key in enumerate(keys):
        with seeded_globals(int(key)):
            varied[i] = np.asarray(change(Image.fromarray(pixels[i])))
    return torch.from_numpy(varied).permute(0, 3, 1, 2).contiguous()


def _levels(images: Tensor) -> Tensor:
    return (images * 255).round().byte() if images.is_floating_point() else images


@lru_cache  # once per process, and not once per batch
def _transform(text: str) -> Any:
    from timm.data.auto_augment import rand_augment_transform  # seconds, in every worker process

    transform = rand_augment_transform(text)
    for change in transform.ops:
        if change.name.startswith("Posterize"):
            change.aug_fn = _posterize
    return transform


def _posterize(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """timm's, but 1 bit where it asks for 0, which recent Pillow refuses: at one end of the scale a
    training would end with a ValueError, at whatever image first meets it."""
    return image if bits >= 8 else ImageOps.posterize(image, max(bits, 1))
