"""`data:` in a recipe: how images are shown, and which of them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from kdcli.records import OPTIONS

Auto = Literal["auto"]
Share = Annotated[float, Field(ge=0, le=1)]
_Part = Annotated[float, Field(gt=0, le=1)]


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("expects two shares, the smaller first")
    return ends


Subset = _Part | Annotated[tuple[_Part, _Part], Field(strict=False), AfterValidator(_ascending)]
"""A share of the images, or the ends between which it is drawn."""


class Pool(BaseModel):
    """Synthetic images, which the teachers then label."""

    model_config = OPTIONS
    by: Literal["mixup", "munge_patch"] = "mixup"
    """`mixup` blends two images, in shares drawn evenly; `munge_patch` swaps patches with those of
    the nearest neighbour."""
    times: Annotated[int, Field(ge=1, le=100)] = 4
    """So many of them for each image."""
    swap: Share = 0.5
    """Of munge_patch: the probability that a patch is swapped."""
    grid: Annotated[int, Field(ge=1, le=64)] = 4
    """Of munge_patch: patches along a side."""


def _named_alone(pool: Any) -> Any:
    """`pool: mixup` takes every default."""
    return {"by": pool} if isinstance(pool, str) else pool


class Data(BaseModel):
    """How images are shown."""

    model_config = OPTIONS
    image_size: Annotated[int, Field(ge=8, le=1024)] | Auto = "auto"
    """Pixels of a side."""
    augment: Literal["shift", "shift_flip", "crop_flip", "auto"] | None = "auto"
    """How training images are varied."""
    randaugment: str | None = None
    """On top of it, in timm's words: "rand-m9-n2-mstd0.5"."""
    subset: Subset = 1.0
    """Train on this share of the training images, drawn class by class from the seed; of
    [0.6, 1.0] the share itself is drawn, too."""
    hidden: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Pretend that nobody knows the labels of this share of the training images: whoever learns
    from labels does without them (teachers, the baseline), scheme compress learns from them."""
    unlabelled: str | None = None
    """Of scheme compress: a folder of further images, whose labels nobody knows."""
    pool: Annotated[Pool | None, BeforeValidator(_named_alone)] = None
    """Of scheme compress: images made from those that there are."""
    licence: Annotated[str, Field(min_length=1)] = "auto"
    """Of the images: `own` where they are yours, SPDX's name of it, any words; `auto` looks for
    what is stated. It never changes a weight."""
