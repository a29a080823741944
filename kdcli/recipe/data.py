"""`data:` in a recipe: how images are shown, and which of them."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kdcli.core.errors import UsageError
from kdcli.core.options import LATER, NO_WEIGHT, Later, Options

Auto = Literal["auto"]
Share = Annotated[float, Field(ge=0, le=1)]
_Part = Annotated[float, Field(gt=0, le=1)]


CROPS = ("crop", "crop_flip")
"""Augmentations that cut a random part out of each image."""


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("expects two shares, the smaller first")
    return ends


# not strict: YAML has lists and no tuples, which frozen records want
Subset = _Part | Annotated[tuple[_Part, _Part], Field(strict=False), AfterValidator(_ascending)]
"""A share of the images, or the ends between which it is drawn."""


class Keep(Options):
    """All labels are hidden but so many of each class."""

    keep: Annotated[int, Field(ge=1)]

    def __str__(self) -> str:
        return f"{{keep: {self.keep}}}"  # as --set takes it


Hidden = Annotated[float, Field(ge=0, lt=1)] | Keep
"""Whose labels nobody is to know: a share of each class, or all but some."""


class Pool(Options):
    """Synthetic images, which the teachers then label."""

    shorthand = "by"
    by: Literal["mixup", "munge_patch"] = "mixup"
    """`mixup` blends two images, in shares drawn evenly; `munge_patch` swaps patches with those of
    the nearest neighbour."""
    # The paper's own constants of MUNGE (p, s, how many) are not known here: these are choices. On
    # digits the pool cost a compressed student 0.8 points (recipes/compress.yaml), so none is made
    # unless it is asked for.
    times: Annotated[int, Field(ge=1, le=100)] = 4
    """So many of them for each image."""
    swap: Share = 0.5
    """Of munge_patch: the probability that a patch is swapped."""
    grid: Annotated[int, Field(ge=1, le=64)] = 4
    """Of munge_patch: patches along a side."""


def _named_alone(pool: Any) -> Any:
    """`pool: mixup` takes every default."""
    return {Pool.shorthand: pool} if isinstance(pool, str) else pool


class Data(Options):
    """How images are shown."""

    image_size: Annotated[int, Field(ge=8, le=1024)] | Auto = "auto"
    """Pixels of a side."""
    augment: Literal["shift", "shift_flip", "crop", "crop_flip", "auto"] | None = "auto"
    """How training images are varied."""
    crop_pct: Annotated[Annotated[float, Field(ge=0.1, le=1)] | Auto, Later(1.0)] = "auto"
    """Share of an image's shorter side that evaluation shows, and exported files: the square in its
    middle. Training without random crops sees the same."""
    randaugment: str | None = None
    """On top of it, in timm's words: "rand-m9-n2-mstd0.5"."""
    subset: Subset = 1.0
    """Train on this share of the training images, drawn class by class from the seed; of
    [0.6, 1.0] the share itself is drawn, too."""
    hidden: Hidden = 0.0
    """Pretend that nobody knows the labels of this share of the training images, or of all but
    `{keep: 30}` of each class: whoever learns from labels does without them (teachers, the
    baseline); scheme compress and whoever has a `labelled_share` learn from them."""
    unlabelled: str | None = None
    """Of scheme compress, and with a `labelled_share`: a folder of further images, whose labels
    nobody knows."""
    labelled_share: Annotated[Annotated[float, Field(gt=0, lt=1)] | None, LATER] = None
    """So much of each batch are images with labels, the rest those without (`hidden`,
    `unlabelled`), of which teachers say what they are; where there are none, all have labels."""
    pool: Annotated[Pool | None, BeforeValidator(_named_alone)] = None
    """Of scheme compress: images made from those that there are."""
    licence: Annotated[str, Field(min_length=1), NO_WEIGHT] = "auto"
    """Of the images: `own` where they are yours, SPDX's name of it, any words; `auto` looks for
    what is stated. It never changes a weight."""


_EXAMPLE = "rand-m9-n2-mstd0.5"


_NUMBER = r"\d+(\.\d+)?"


# timm's own reader asserts on some of what it does not know and passes over the rest (`rand-m` is
# magnitude 10 there): a typo would train with other images, silently. 10 is the top of its scale.
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
    """Raise UsageError, with an example, for what is not RandAugment (arXiv:1909.13719) in timm's
    words: `rand`, then sections in any order, as in "rand-m9-n2-mstd0.5"."""
    head, *sections = text.split("-")
    wrong = [s for s in sections if not any(re.fullmatch(p, s) for p, _ in _SECTIONS.values())]
    if head == "rand" and not wrong:
        return
    problem = f"'{wrong[0]}' is no part of it" if head == "rand" else "expects 'rand', then '-'"
    raise UsageError(
        f"data.randaugment: {text!r}: {problem}",
        f'for example "{_EXAMPLE}"; parts: {", ".join(words for _, words in _SECTIONS.values())}',
    )
