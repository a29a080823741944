"""Two images in one: mixup and cutmix, each mixed image a pure function of (view, index).

So it has an answer of its own, which a teacher needs to give once: mixed labels of its answers to
the two originals would be an approximation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdcli.core.arrays import Bools, Doubles, Hashes, Ints
from kdcli.data.order import VIEWS, hashes, uniform

_MIX = 0x6D6978
"""Keeps these numbers apart from an image's others."""
_COIN, _SHARE, _DOWN, _ACROSS = range(4)


@dataclass(frozen=True, eq=False)
class Mix:
    """How each image of a batch is mixed with its partner; all (B,)."""

    share: Doubles
    """Of the first image, in [0, 1]."""
    pasted: Bools
    """By cutmix (arXiv:1905.04899): a box of the partner; else by mixup (arXiv:1710.09412)."""
    down: Doubles
    """Where the box has its centre, as a share of the height."""
    across: Doubles


def drawn(mixup: float, cutmix: float, view: Ints, index: Ints) -> Mix:
    """For the images `index` (B,) in the views `view` (B,).

    `mixup`, `cutmix` are the alphas of Beta(alpha, alpha), from which the share comes; 0 is off.
    With both on, a coin is tossed for each image.
    """
    coin, down, across = (uniform(VIEWS, _MIX, view, index, n) for n in (_COIN, _DOWN, _ACROSS))
    pasted = coin < (0.5 if mixup and cutmix else float(cutmix > 0))
    shares = _beta(np.where(pasted, cutmix, mixup), hashes(VIEWS, _MIX, view, index, _SHARE))
    return Mix(shares, pasted, down, across)


def _beta(alphas: Doubles, keys: Hashes) -> Doubles:
    """Of Beta(alpha, alpha), one from each key. RandomState's streams are frozen (NEP 19)."""
    streams = (np.random.RandomState([key & 0xFFFFFFFF, key >> 32]) for key in keys.tolist())
    return np.array([one.beta(a, a) for one, a in zip(streams, alphas, strict=True)])


def mixed(images: Tensor, partners: Tensor, how: Mix) -> tuple[Tensor, Tensor]:
    """The mixed images, float32 (B, 3, H, W), and the shares (B,), float32, that their first images
    have in them: of a box that reaches over the edge, what is left of it counts.

    images, partners: float32 (B, 3, H, W); given ones are left as they are.
    """
    height, width = images.shape[-2:]
    boxes, area = _boxes(how, height, width)
    share = np.where(how.pasted, 1 - area / (height * width), how.share).astype(np.float32)
    first = torch.from_numpy(share).to(images.device)
    part = first[:, None, None, None]
    blended = images * part + partners * (1 - part)
    if not how.pasted.any():
        return blended, first
    inside = torch.from_numpy(boxes).to(images.device)[:, None]
    pasted = torch.from_numpy(how.pasted).to(images.device)[:, None, None, None]
    return torch.where(pasted, torch.where(inside, partners, images), blended), first


def _boxes(how: Mix, height: int, width: int) -> tuple[Bools, Ints]:
    """Which pixels lie in each image's box, (B, H, W), and how many, (B,)."""
    # of a box that covers 1 - share of the image, as the paper's: both sides by its root
    side = np.sqrt(1 - how.share)
    rows, row = _between(how.down, side, height)
    columns, column = _between(how.across, side, width)
    return rows[:, :, None] & columns[:, None, :], row * column


def _between(centre: Doubles, side: Doubles, length: int) -> tuple[Bools, Ints]:
    middle, half = (centre * length).astype(np.int64), (side * length).astype(np.int64) // 2
    low, high = np.clip(middle - half, 0, length), np.clip(middle + half, 0, length)
    place = np.arange(length)
    return (place >= low[:, None]) & (place < high[:, None]), high - low
