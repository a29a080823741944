"""A batch on its way from the process that made it: through a pipe, as arrays, images as bytes.

torch would put its tensors into shared memory. Of that a container has 64 MB, and an epoch ended in
ten minutes of silence; a pipe takes any batch, and no file handle for each tensor. What can be
computed from the rest (floats, mixed images, targets) is made on the other side, on the device
where the model is: that is a quarter of the bytes for the pipe, and for a GPU's bus.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kdcli.core.arrays import Indices
from kdcli.core.records import Batch
from kdcli.data.augment import unit
from kdcli.data.mixup import Mix, mixed


@dataclass(frozen=True, eq=False)
class Packed:
    """What a batch is made of; of U images, those that are only mixed into others among them."""

    pixels: NDArray[np.generic]
    """(U, 3, S, S), uint8 levels, or float32 in [0, 1]; (U, D) embeddings for a head alone."""
    labels: Indices
    """(U,), -1 where unknown."""
    rows: Indices
    """(B,) places in the store."""
    views: Indices
    """(B,)."""
    epoch: float = 0.0
    """As `Batch.epoch`."""
    progress: float = 0.0
    mix: Mix | None = None
    """None: nothing is mixed, and U is B."""
    mixed: tuple[Indices, Indices] = (np.empty(0, np.int64),) * 2
    """Which of the U is each image, and which one is mixed into it; both (B,)."""

    def batch(self, num_classes: int, smoothing: float, device: torch.device) -> Batch:
        """What the model sees, on `device`."""
        images, labels = unit(there(self.pixels, device)), there(self.labels, device)
        targets = smooth(labels, num_classes, smoothing)
        if self.mix is not None:
            one, other = (there(places, device) for places in self.mixed)
            images, share = mixed(images[one], images[other], self.mix)
            labels = torch.where(share >= 0.5, labels[one], labels[other])
            targets = targets[one] * share[:, None] + targets[other] * (1 - share[:, None])
        return Batch(
            images=images,
            labels=labels,
            targets=targets,
            index=there(self.rows, device),
            view=there(self.views, device),
            epoch=self.epoch,
            progress=self.progress,
        )


def there(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """The array on a device; to a GPU without waiting, for which its memory must not be paged."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def smooth(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Targets (B, K), float32: 1 - smoothing on the label, the rest spread over all K classes
    (Szegedy et al. 2015, arXiv:1512.00567), so that the label has a little more than 1 - smoothing.

    An unknown label (-1) asks for nothing: zeros.
    """
    known = F.one_hot(labels.clamp(min=0), num_classes).float()
    targets = known * (1 - smoothing) + smoothing / num_classes
    return targets * (labels >= 0)[:, None]
