"""What `auto` means for images that nobody has described: by how large they are."""

import math

import numpy as np

from kdcli.data.source import Defaults, Schedule, Split

SAMPLE = 64
"""Images by which small pictures are told from photographs, spread over the split, as folders are
sorted by class and a class may have a size of its own."""

PICTURES = (
    (32, 40),
    (64, 64),
)
"""Training size, and the median shorter side up to which it is taken; above: photographs. MNIST's
28 pixels and CIFAR's 32 come out at 32, which halves five times, as most models' strides do."""

# For fine-tuning timm's weights: a third of the rate that random weights have below, a tenth of it
# for the trunk (plan/defaults.py), and patience, as what begins pretrained soon has settled.
PHOTOGRAPHS = Defaults(
    image_size=224,
    augment="crop_flip",
    pretrained=True,
    small=Schedule(epochs=20, batch_size=32, lr=1e-3, patience=5),
    large=Schedule(epochs=10, batch_size=32, lr=3e-4, patience=3),
    own_size=True,
)


LEAST_STEPS, LEAST_BATCH, LONGEST = 8, 8, 8
"""Steps of an epoch, of so many images each where there are not enough of them; then up to so many
times the epochs."""
FEW_VALIDATED = 30
"""Validation images below which patience would end a training by the luck of one image or two."""


def fitted(schedule: Schedule, images: int, validated: int) -> Schedule:
    """For so many training images: with fewer than 8 batches of them, smaller batches, at a rate
    that falls as their root (Malladi et al. 2022, arXiv:2205.10287), and so many more epochs, and
    as much more patience, that as many images are seen as of 8 batches.

    Measured in docs/small-data.md. For 256 images and more (1,024 where batches are of 128) it is
    what it was.
    """
    batch = schedule.batch_size
    while batch > LEAST_BATCH and images < LEAST_STEPS * batch:
        batch //= 2
    longer = min(LONGEST, max(1.0, LEAST_STEPS * schedule.batch_size / max(images, 1)))
    patience = schedule.patience and math.ceil(schedule.patience * longer)
    return Schedule(
        epochs=math.ceil(schedule.epochs * longer),
        batch_size=batch,
        lr=schedule.lr * math.sqrt(batch / schedule.batch_size),
        patience=patience if validated >= FEW_VALIDATED else None,
    )


def defaults_of(train: Split) -> Defaults:
    """By the median shorter side; raises DataError as `typical_side` does.

    For data of which nothing is known but that; each named set has defaults of its own.
    """
    return defaults_for(typical_side(train))


def typical_side(train: Split) -> float:
    """The median shorter side of a sample of the training images, in pixels.

    Images without a readable header are left out; raises DataError if none has one.
    """
    rows = np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).astype(int)
    sizes = train.read.sizes[rows]
    known = sizes[sizes.all(1)]  # the survey will name the others
    return float(np.median(known.min(1))) if len(known) else min(train.read.size(int(rows[0])))


def defaults_for(side: float) -> Defaults:
    """For images whose shorter side is typically `side` pixels."""
    size = next((size for size, limit in PICTURES if side <= limit), None)
    if size is None:
        return PHOTOGRAPHS
    # CIFAR's (sources/torchvision_sets.py) but for the batch
    small, large = Schedule(20, 32, 3e-3, None), Schedule(10, 32, 1e-3, None)
    return Defaults(size, "shift_flip", pretrained=False, small=small, large=large)
