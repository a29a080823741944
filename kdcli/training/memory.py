"""A device that is full: the batch in more parts, or words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from kdcli.core.errors import FULL_MEMORY, OutOfMemory
from kdcli.core.records import Batch
from kdcli.training.processes.exchange import current

T = TypeVar("T")
HALVINGS = 3
LEAST = 2
"""Images of a part: batch norm, and methods that compare images, have nothing to say of one."""


class Parts:
    """In how many parts a batch passes through the models: as many as the recipe says, and twice as
    many each time a GPU is full. A full processor is not told by torch, and several processes
    would wait for each other."""

    def __init__(self, model: nn.Module, count: int, may_grow: bool, device: torch.device) -> None:
        self.count = count
        self._left = HALVINGS if may_grow and grows(device) and current().is_alone else 0
        self._buffers = [*model.buffers()] if self._left else []
        self._before = [one.clone() for one in self._buffers]

    def attempt(self, work: Callable[[int], T], images: int) -> T:
        """`work(count)`, which moves no weight; its batch norms count it once, however often it is
        begun anew.

        Raises:
            torch.OutOfMemoryError: it needs more still.
        """
        while True:
            _copy(self._before, self._buffers)
            try:
                return work(self.count)
            except torch.OutOfMemoryError:
                if not self._left or images < LEAST * 2 * self.count:
                    raise
            self._left, self.count = self._left - 1, 2 * self.count
            _copy(self._buffers, self._before)


def in_more_parts(count: int) -> str:
    """What is said once, when a device was full."""
    return (
        f"the device's memory is full: from here on each batch passes in {count} parts "
        f"(train.accumulate={count}). It stays the same batch; batch norms, and methods that "
        "compare images, see its parts"
    )


def grows(device: torch.device) -> bool:
    """Whether a full device is found out in time to need less of it."""
    return device.type != "cpu"


def _copy(to: list[torch.Tensor], of: list[torch.Tensor]) -> None:
    if to:
        with torch.no_grad():
            torch._foreach_copy_(to, of)  # one by one takes a launch for each batch norm


@contextmanager
def memory_errors(label: str, batch: Batch, parts: int) -> Iterator[None]:
    """A full device in words: which model, how many images of what size, and the way out."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; on processors it is not raised
        if not any(sign in repr(error) for sign in FULL_MEMORY):
            raise
        images, size = len(batch.labels), batch.images.shape[-1]
        in_parts = f" in {parts} parts" if parts > 1 else ""
        raise OutOfMemory(
            f"{label}: the device's memory is full at {images} images of {size} pixels a step"
            f"{in_parts}",
            f"--set train.accumulate={2 * parts} (the same batch, in more parts), or "
            # 5/7 of the side is half the pixels, as 160 of 224
            f"smaller images: --set data.image_size={max(8, size * 5 // 7)}",
        ) from error
