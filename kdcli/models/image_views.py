"""Views of a batch: mirrored, nearer, farther; and maps carried from one view to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ImageView:
    """One way of showing the same images, on the same canvas.

    A `scale` below 1 shows them from farther away, amid their own reflections; one above 1 shows
    the middle, larger. So every model takes every view, whatever sizes it takes. CASD resizes the
    image itself instead, which models of a fixed size would undo.
    """

    flip: bool = False
    scale: float = 1.0

    @property
    def name(self) -> str:
        """`flip`, `scale_0.75`; empty for the images as they are."""
        parts = ["flip"] * self.flip + [f"scale_{self.scale:g}"] * (self.scale != 1)
        return "_".join(parts)

    def turn(self, maps: Tensor) -> Tensor:
        """Images or maps, (B, [C,] h, w), as this view shows them."""
        mirrored = maps.flip(-1) if self.flip else maps
        return _zoomed(mirrored, self.scale, "reflection")

    def undo(self, maps: Tensor) -> Tensor:
        """Maps of this view, (B, [C,] h, w), as they lie on the images; 0 where it saw nothing."""
        back = _zoomed(maps, 1 / self.scale, "zeros")
        return back.flip(-1) if self.flip else back


def largest(views: Sequence[ImageView], maps: Sequence[Tensor]) -> Tensor:
    """The elementwise maximum of positive maps, one of each view, as they lie on the images."""
    return torch.stack([view.undo(one) for view, one in zip(views, maps, strict=True)]).amax(0)


def mean(views: Sequence[ImageView], maps: Sequence[Tensor]) -> Tensor:
    """The mean of maps, one of each view, as they lie on the images; cell by cell over the views
    that saw it. One view at least has to have seen everything, as the images themselves have."""
    pairs = list(zip(views, maps, strict=True))
    # a map of ones, carried back, is 1 where a view saw the image, 0 where not, between at its edge
    seen = torch.stack([view.undo(torch.ones_like(one[:1])) for view, one in pairs]).sum(0)
    return torch.stack([view.undo(one) for view, one in pairs]).sum(0) / seen


def _zoomed(maps: Tensor, scale: float, beyond: Literal["reflection", "zeros"]) -> Tensor:
    """About the middle, on the same grid; `beyond` is what lies outside."""
    if scale == 1:  # exactly as it is: there and back through a grid would round
        return maps
    planes = maps.reshape(len(maps), -1, *maps.shape[-2:])
    # affine_grid asks where an output cell looks in the input: the zoom's inverse
    matrix = torch.eye(2, 3, dtype=maps.dtype, device=maps.device) / scale
    grid = F.affine_grid(matrix.expand(len(maps), 2, 3), list(planes.shape), align_corners=False)
    found = F.grid_sample(planes, grid, padding_mode=beyond, align_corners=False)
    return found.reshape(maps.shape)
