"""Two images in one: mixup and cutmix, through timm."""

from dataclasses import replace

import torch

from kdcli.core.records import Batch
from kdcli.data.order import seeded_globals


def mixed(batch: Batch, mixup: float, cutmix: float, key: int) -> Batch:
    """The batch, each image mixed with its mirror place's; all randomness from `key` (64 bits).

    mixup (arXiv:1710.09412) blends, cutmix (arXiv:1905.04899) pastes a box; `mixup`, `cutmix` are
    the alphas of Beta(alpha, alpha), 0 is off, and with both on a coin is tossed for each batch.
    One share holds for a whole batch. Targets are mixed as the images are; a label becomes that
    of the larger share, which is where the mixed target is highest. `index` and `view` name the
    first image only. The number of images must be even: timm asserts it.

    A teacher sees these very pixels, so that what it says belongs to them. Mixed labels of its
    answers to the two originals would be an approximation.
    """
    from timm.data.mixup import Mixup  # seconds, in every worker process

    places = len(batch.labels)
    mixer = Mixup(  # type: ignore[no-untyped-call]
        mixup, cutmix, label_smoothing=0.0, num_classes=places
    )
    with seeded_globals(key):  # timm draws from NumPy's
        # cloned: timm mixes in place
        images, origin = mixer(batch.images.clone(), torch.arange(places))
    share = float(origin[0, 0])  # timm mixes the places; who went into whom holds for any target
    mirrored = batch.targets.flip(0)
    return replace(
        batch,
        images=images,
        targets=batch.targets * share + mirrored * (1 - share),
        labels=batch.labels if share >= 0.5 else batch.labels.flip(0),
    )
