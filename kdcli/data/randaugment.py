"""RandAugment through timm, each image from its own key."""

import re
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from kdcli.data.generators import seeded_globals
from kdcli.errors import UsageError

_EXAMPLE = "rand-m9-n2-mstd0.5"
_NUMBER = r"\d+(\.\d+)?"
_SECTIONS = {
    "m": (r"m(\d|10)", "m0 to m10 (how strong)"),
    "n": (r"n[1-9]", "n1 to n9 (changes per image)"),
    "p": (r"p(0(\.\d+)?|1(\.0+)?)", "p0 to p1 (chance of each)"),
    "mstd": (rf"mstd{_NUMBER}", "mstd0.5 (spread of the strength)"),
    "inc": (r"inc[01]", "inc1 (stronger always changes more)"),
    "t": (r"t(weights|3aw|3a)", "tweights, t3a or t3aw (which changes)"),
}
"""What timm's reader understands; it passes over much of what it does not."""


def check_randaugment(text: str) -> None:
    """Raise UsageError, with an example, for what is not RandAugment in timm's words."""
    head, *sections = text.split("-")
    wrong = [s for s in sections if not any(re.fullmatch(p, s) for p, _ in _SECTIONS.values())]
    if head == "rand" and not wrong:
        return
    problem = f"'{wrong[0]}' is no part of it" if head == "rand" else "expects 'rand', then '-'"
    raise UsageError(
        f"data.randaugment: {text!r}: {problem}",
        f'for example "{_EXAMPLE}"; parts: {", ".join(words for _, words in _SECTIONS.values())}',
    )


def rand_augment(images: Tensor, text: str, keys: NDArray[np.uint64]) -> Tensor:
    """Varied images, uint8 (B, 3, H, W), each from its own of the `keys` (B,).

    images: uint8 levels, or floats in [0, 1], which are rounded to them.
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


@lru_cache
def _transform(text: str) -> Any:
    from timm.data.auto_augment import rand_augment_transform  # seconds, in every worker process

    transform = rand_augment_transform(text)
    for change in transform.ops:
        if change.name.startswith("Posterize"):
            change.aug_fn = _posterize
    return transform


def _posterize(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """timm's, but 1 bit where it asks for 0, which recent Pillow refuses."""
    return image if bits >= 8 else ImageOps.posterize(image, max(bits, 1))
