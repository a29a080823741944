"""A device that is full, in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from kdcli.core.errors import FULL_MEMORY, OutOfMemory
from kdcli.core.records import Batch
from kdcli.recipe.train import Train


@contextmanager
def memory_errors(label: str, batch: Batch, train: Train) -> Iterator[None]:
    """A full device in words: which model, how many images of what size, and the way out."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; on processors it is not raised
        if not any(sign in repr(error) for sign in FULL_MEMORY):
            raise
        images, size = len(batch.labels), batch.images.shape[-1]
        parts = f" in {train.accumulate} parts" if train.accumulate > 1 else ""
        raise OutOfMemory(
            f"{label}: the device's memory is full at {images} images of {size} pixels a step"
            f"{parts}",
            f"--set train.accumulate={2 * train.accumulate} (the same batch, in more parts), or "
            # 5/7 of the side is half the pixels, as 160 of 224
            f"smaller images: --set data.image_size={max(8, size * 5 // 7)}",
        ) from error
