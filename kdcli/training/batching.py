"""How a training makes its batches: of which images, how varied, in which order, for whom."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from kdcli.core.arrays import Indices
from kdcli.core.errors import UsageError
from kdcli.core.records import Batch
from kdcli.core.world import World
from kdcli.data.loader import Batching, training_batches
from kdcli.data.store import Store
from kdcli.data.unlabelled import known_of
from kdcli.runs.spec import Spec


@dataclass(frozen=True, eq=False)
class Batches:
    """Those of a training, from wherever it goes on."""

    store: Store
    how: Batching
    device: torch.device

    def __call__(self, epoch: int, done: int = 0) -> Iterator[Batch]:
        """From `epoch` (from 0) to the end, but for so many of its first."""
        return training_batches(self.store, self.how, epoch, device=self.device, done=done)


def batching_of(spec: Spec, classes: int, labels: Indices) -> Batching:
    """How a training makes its batches of images with these labels, as its recipe says."""
    recipe, train = spec.recipe, spec.recipe.train
    how = Batching(
        num_classes=classes,
        batch_size=int(train.batch_size),
        epochs=int(train.epochs),
        seed=spec.seed,
        augment=recipe.data.augment,
        randaugment=recipe.data.randaugment,
        # embeddings take the place of the images where the head alone is trained
        image_size=None if train.tune == "head" else int(recipe.data.image_size),
        label_smoothing=recipe.task.label_smoothing,
        balance=train.balance,
        mixup=train.mixup,
        cutmix=train.cutmix,
        views=spec.views or None,
        samples_per_epoch=train.epoch_images if isinstance(train.epoch_images, int) else None,
    )
    known = known_of(labels)
    if recipe.data.labelled_share is None or known == len(labels):
        return how
    return replace(
        how,
        labelled_share=recipe.data.labelled_share,
        samples_per_epoch=train.epoch_of(known),  # as many steps as its baseline takes
        views=how.views or how.epochs,  # round which few images are passed through more often
    )


def shared(how: Batching, images: int, world: World) -> Batching:
    """Of several processes, this one's share of batches of so many images.

    Raises:
        UsageError: they cannot be shared evenly.
    """
    if images % world.size:
        fits = images // world.size * world.size
        raise UsageError(
            f"a batch of {images} images cannot be shared evenly by {world.size} processes",
            f"--set train.batch_size={fits or world.size}, or fewer processes",
        )
    return replace(how, share=(world.rank, world.size))
