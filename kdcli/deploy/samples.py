"""The images that a student's files are tried on, before they are kept."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdcli.core.arrays import Floats, Indices, Pixels
from kdcli.core.class_order import OF_RUN, refuse_other_order
from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress
from kdcli.data.images import fit
from kdcli.data.reopen import is_gone, reopen_data
from kdcli.data.source import Source, Split
from kdcli.data.store import InMemory, Store, plain_store
from kdcli.deploy.onnx_file.pixels import takes_any_size, takes_pixels
from kdcli.deploy.onnx_file.read import Port
from kdcli.models.loading import Loaded, read_args
from kdcli.models.tap import Tap
from kdcli.recipe.edit import crop_pct_of
from kdcli.runs.locate import Located

MADE_UP = 32
"""Images, where there are no real ones; as many as are compared one by one (`parity.ALONE`)."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Images as they were taken, as the run has them, and as its student is fed."""

    store: Store
    tap: Tap
    """Prepares them; its own module is not asked."""
    image_size: int
    """Pixels of a side in the store."""
    read: Callable[[int], Pixels]
    """(H, W, 3), of any size; cut to size they are those of the store."""
    crop_pct: float = 1.0
    """Share of the shorter side that is in it."""
    made_up: bool = False

    def __len__(self) -> int:
        return len(self.store)

    @property
    def labels(self) -> Indices | None:
        return None if self.made_up else self.store.labels

    def pixels(self, size: int, most: int | None = None) -> Iterator[Tensor]:
        """uint8 (B, 3, S, S), `size` at a time, at most so many in all."""
        rows = np.arange(len(self) if most is None else min(most, len(self)))
        yield from (self.store.fetch(rows[i : i + size]) for i in range(0, len(rows), size))

    def ready(self, pixels: Tensor) -> Floats:
        """(B, 3, H, W) as the student is fed: at its size, normalised."""
        prepared: Floats = self.tap.prepare(pixels.float() / 255).contiguous().numpy()
        return prepared

    def fed_to(
        self, takes: Port, size: int, most: int | None = None
    ) -> Iterator[tuple[NDArray[Any], Floats]]:
        """Batches of at most `size` images as a file takes them, and as PyTorch is fed the same."""
        if takes_any_size(takes):
            for start in range(0, len(self) if most is None else min(most, len(self)), size):
                yield from self._of_any_size(range(start, min(start + size, len(self))))
            return
        for pixels in self.pixels(size, most):
            ready = self.ready(pixels)
            yield pixels.permute(0, 2, 3, 1).numpy() if takes_pixels(takes) else ready, ready

    def _of_any_size(self, rows: Iterable[int]) -> Iterator[tuple[Pixels, Floats]]:
        """Neighbours of one size together; PyTorch is fed what Pillow makes of them."""
        for _, alike in groupby(map(self.read, rows), key=np.shape):
            images = np.stack(list(alike))
            squares = np.stack([fit(image, self.image_size, self.crop_pct) for image in images])
            yield images, self.ready(torch.from_numpy(squares).permute(0, 3, 1, 2))


def source_of(located: Located, progress: Progress, moved: str | None = None) -> Source | None:
    """The data of its run, where they are at hand: where they were, or have `moved` to.

    Raises:
        DataError: something else lies there.
        UsageError: there is no run whose data these could be.
    """
    if located.run is None:
        if moved is not None:
            raise UsageError(
                f"--data {moved}: {located.model} has no run around it, so nobody knows its data",
                "give the run, or leave --data out",
            )
        return None
    data = located.run.spec.data
    if moved is None and is_gone(data):
        return None
    if data.is_older:
        progress.say(f"{data.name}: made by an older kd, which read these images by other rules")
        return None
    source = reopen_data(data, progress, moved)
    refuse_other_order(read_args(located.model)[1], source.classes, str(located.model), OF_RUN)
    return source


def store_of(located: Located, split: Split, progress: Progress) -> Store:
    """A split of the run's data, as the run evaluates it."""
    assert located.run is not None  # there is no source without it
    return plain_store(split, located.run.spec.recipe, progress)


def split_of(located: Located, student: Loaded, split: Split, progress: Progress) -> Samples:
    """The same, as it was taken and as the student is fed, too."""
    store, (size, crop_pct) = store_of(located, split, progress), _shown(located, student)
    return Samples(store, Tap(student.module, student.args, ""), size, split.read, crop_pct)


def samples_of(
    located: Located, student: Loaded, source: Source | None, progress: Progress
) -> Samples:
    """The test images of its run where they are at hand, else made-up ones, said so."""
    if source is not None:
        return split_of(located, student, source.test, progress)
    lacking, way = "run beside", ""
    if located.run is not None:
        lacking = "data for"
        if is_gone(located.run.spec.data):
            way = f" ({located.run.spec.data.location} is gone; --data NEW says where they lie now)"
    progress.say(
        f"no {lacking} {located.model}: compared on {MADE_UP} made-up images; accuracy stays empty"
        f"{way}"
    )
    tap, (size, crop_pct) = Tap(student.module, student.args, ""), _shown(located, student)
    return replace(made_up_samples(tap, size), crop_pct=crop_pct)


def made_up_samples(tap: Tap, size: int, count: int = MADE_UP) -> Samples:
    """Pixels of any value, uint8 (count, 3, size, size), the same every time; labels are -1."""
    noise = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=noise)
    store = InMemory(images, np.full(count, -1))
    return Samples(store, tap, size, partial(_made_up, size=size), made_up=True)


def _shown(located: Located, student: Loaded) -> tuple[int, float]:
    """Image size and crop_pct of its run; a model.pt that lies alone remembers them, somebody
    else's weights do not."""
    if located.run is not None:
        data = located.run.spec.recipe.data
        return int(data.image_size), crop_pct_of(data.crop_pct)
    known = student.file.recipe.get("data", {})
    size = known.get("image_size", student.args.input_size)
    return size, crop_pct_of(known.get("crop_pct"))


def _made_up(number: int, size: int) -> Pixels:
    """(H, W, 3), each side between half and twice `size`: larger and smaller, upright and lying."""
    noise = np.random.default_rng(number)
    height, width = noise.integers(size // 2, 2 * size, 2)
    return noise.integers(0, 256, (height, width, 3), np.uint8)
