"""The images that a student's files are tried on, before they are kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdcli.commands.loading import Loaded
from kdcli.commands.plan import is_gone, reopen_data
from kdcli.data.loader import Store, open_store
from kdcli.data.source import Source, Split
from kdcli.data.store import InMemory
from kdcli.locate import Located
from kdcli.models.tap import Tap
from kdcli.progress import Progress

Floats = NDArray[np.float32]
MADE_UP = 32
"""Images, where there are no real ones."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Images as the run has them, and as its student is fed."""

    store: Store
    tap: Tap
    """Prepares them; its own module is not asked."""
    made_up: bool = False

    def __len__(self) -> int:
        return len(self.store)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        return None if self.made_up else self.store.labels

    def pixels(self, size: int, most: int | None = None) -> Iterator[Tensor]:
        """uint8 (B, 3, S, S), `size` at a time, at most so many in all."""
        rows = np.arange(len(self) if most is None else min(most, len(self)))
        yield from (self.store.fetch(rows[i : i + size]) for i in range(0, len(rows), size))

    def ready(self, pixels: Tensor) -> Floats:
        """(B, 3, H, W) as the student is fed: at its size, normalised."""
        prepared: Floats = self.tap.prepare(pixels.float() / 255).contiguous().numpy()
        return prepared


def source_of(located: Located, progress: Progress) -> Source | None:
    """The data of its run, where they are at hand."""
    if located.run is None or is_gone(located.run.spec.data):
        return None
    return reopen_data(located.run.spec.data, progress)


def store_of(located: Located, split: Split, progress: Progress) -> Store:
    """A split of the run's data, at the run's size."""
    assert located.run is not None  # there is no source without it
    return open_store(split, int(located.run.spec.recipe.data.image_size), progress)


def samples_of(
    located: Located, student: Loaded, source: Source | None, progress: Progress
) -> Samples:
    """The test images of its run where they are at hand, else made-up ones, said so."""
    tap = Tap(student.module, student.args, "")
    if source is not None:
        return Samples(store_of(located, source.test, progress), tap)
    lacking = "run beside" if located.run is None else "data for"
    progress.say(
        f"no {lacking} {located.model}: compared on {MADE_UP} made-up images; accuracy stays empty"
    )
    size, noise = student.args.input_size, torch.Generator().manual_seed(0)
    images = torch.randint(256, (MADE_UP, 3, size, size), dtype=torch.uint8, generator=noise)
    return Samples(InMemory(images, np.full(MADE_UP, -1)), tap, made_up=True)
