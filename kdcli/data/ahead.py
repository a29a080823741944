"""Batches made on a GPU while the model works on the one before."""

from collections.abc import Callable, Iterable, Iterator

import torch

from kdcli.core.records import Batch
from kdcli.data.packed_batches import Packed


def ahead(
    packed: Iterable[Packed], make: Callable[[Packed], Batch], device: torch.device
) -> Iterator[Batch]:
    """`make` of each; on an NVIDIA or AMD GPU the next one is copied and computed on a stream of
    its own, while the model works on this one (as timm's PrefetchLoader does)."""
    if device.type != "cuda":
        yield from map(make, packed)
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ready = None
    for one in packed:
        with torch.cuda.stream(stream):
            coming = make(one)
        if ready is not None:
            yield ready
        working = torch.cuda.current_stream(device)
        working.wait_stream(stream)
        for tensor in (coming.images, coming.labels, coming.targets, coming.index, coming.view):
            tensor.record_stream(working)  # else its memory were used again while it is read
        ready = coming
    if ready is not None:
        yield ready
