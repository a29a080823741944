"""How fast the images come: batches as a training of the data's usual recipe makes them, thrown
away.

A model that waits for images learns nothing meanwhile, and no faster GPU helps.
"""

import time
from dataclasses import dataclass

from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Silent
from kdcli.data.loader import Batching, training_batches
from kdcli.data.photographs import decoded_once, open_training, squares_in_memory
from kdcli.data.quality.survey import Sizes
from kdcli.data.source import Source
from kdcli.data.store import MOST_BYTES, Store
from kdcli.data.workers import worker_count
from kdcli.recipe.edit import update
from kdcli.recipe.load import load_recipe

SECONDS, IMAGES = 2.0, 2048
"""After which of them it is known."""
A_BATCH = 8
"""Of images that are decoded one by one; a batch of photographs of 12 megapixels takes seconds."""
SLOW = 1000
"""Images a second that a GPU trains a small student with, and more."""
LARGE = 2
"""So many times the pixels of a side that are needed, from which images are large."""


@dataclass(frozen=True)
class LoaderSpeed:
    """Of the usual recipe, at its image size and augmentation."""

    image_size: int
    """Pixels of a side."""
    augment: str | None
    in_memory: bool
    """All images fit there, decoded."""
    decoded_once: bool
    """There, or in the cache of photographs: later epochs decode none."""
    workers: int
    """Processes that kd takes to make batches; 0: none."""
    images_per_second: float
    """With these."""
    in_process: float
    """Images per second without any."""

    def advice(self, sizes: Sizes | None) -> tuple[str, ...]:
        """What would help, where a GPU would wait: nothing where images are decoded once."""
        if self.decoded_once or self.images_per_second >= SLOW:
            return ()
        ways = []
        if self.workers < usable_cores():
            ways.append(f"KD_WORKERS={usable_cores()} in the environment: a process per core")
        if sizes and min(sizes.median) >= LARGE * self.image_size:
            ways.append(f"a copy of the images, {LARGE * self.image_size} pixels a side")
        ways.append("more cores")
        return (f"a GPU may wait for images; what helps: {'; '.join(ways)}",)


def measure_loader(source: Source) -> LoaderSpeed:
    """A few seconds' worth of the training images, which can be read.

    Raises:
        DataError: one cannot, or processes that make batches cannot work here.
    """
    usual = source.defaults
    values = {"data.image_size": usual.image_size, "data.augment": usual.augment or "none"}
    recipe = update(load_recipe("kd").recipe, values)
    in_memory = squares_in_memory(len(source.train), recipe) > 0
    images = source.train.sample(IMAGES // 8) if in_memory else source.train
    limit = MOST_BYTES if in_memory else 0
    store = open_training(images, recipe, Silent(), limit)  # no cache, with a limit of 0
    how = Batching(
        num_classes=len(source.classes),
        batch_size=usual.small.batch_size if in_memory else A_BATCH,
        epochs=1 + 100 * IMAGES // len(store),  # until it is known
        augment=usual.augment,
        image_size=usual.image_size,
    )
    workers = worker_count(store.workers)
    here = _rate(store, how, 0)
    rate = _rate(store, how, workers) if workers else here
    once = decoded_once(source.train, recipe)
    return LoaderSpeed(usual.image_size, usual.augment, in_memory, once, workers, rate, here)


def _rate(store: Store, how: Batching, workers: int) -> float:
    """Images per second, once all processes are at work."""
    for number, batch in enumerate(training_batches(store, how, 0, workers)):
        if number <= 2 * workers:
            begun, seconds, images = time.perf_counter(), 0.0, 0
            continue
        images += len(batch.labels)
        seconds = time.perf_counter() - begun
        if seconds > SECONDS or images >= IMAGES:
            break
    return images / seconds
