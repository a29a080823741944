"""Photographs a second as batches of floats: `kd` against torchvision and timm.

    python benchmarks/loader.py [--images 1600] [--rounds 3] [--json]

Noisy JPEGs of 500 x 375 at quality 90; random crops of 224 pixels (kd's shares of area and aspect
for all three), mirrored at random, in batches of 32. torchvision: ImageFolder, RandomResizedCrop,
flip, ToTensor; timm: `create_loader`, whose prefetcher makes the floats. In the process, and with
two workers that live on, an epoch of each in turn; the round in which they start does not count,
nor do an epoch's first batches, which may have been made while another was measured. Only "first
epoch", which fills a cache anew, is measured with the start of its workers.

Targets: on demand 1.2 times the faster of the others, from the second epoch on 2.5 times.
"""

import argparse
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tables import add_json, show
from torch import Tensor

from kdcli.core.progress import Silent
from kdcli.data.crops import AREA, ASPECT
from kdcli.data.loader import Batching, steps_per_epoch, training_batches
from kdcli.data.photographs import Photographs, open_photographs
from kdcli.data.picture_cache import PictureCache
from kdcli.data.readers import open_splits

SIZE, STORED, BATCH, CLASSES = 224, 256, 32, 4
TARGETS = {"kd on demand": 1.2, "kd later epochs": 2.5}
"""Measured on two shared cores, of the faster of the others: on demand 1.40 in the process and 1.31
with workers, the first epoch 1.17 and 0.68 (with the start of its workers), later ones 5.8 and 3.3.
"""
FIRST = "kd first epoch"
READY = 8
"""Batches; two workers make two each ahead."""
Epoch = Callable[[], Iterable[Any]]
"""The batches of one; the images come first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=3)
    add_json(parser)
    asked = parser.parse_args()
    if asked.images < 2 * READY * BATCH:
        parser.error(f"--images: at least {2 * READY * BATCH}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KD_CACHE"] = f"{folder}/cache"
        make_photographs(Path(folder) / "images", asked.images)
        found = {workers: measured(Path(folder), workers, asked.rounds) for workers in (0, 2)}
    show(asked, found, table(found))


def table(found: dict[int, dict[str, float]]) -> Iterator[str]:
    for workers, rates in found.items():
        best = max(rates["torchvision"], rates["timm"])
        yield f"{workers} workers" if workers else "in the process"
        for name, rate in rates.items():
            target = f"; target {TARGETS[name]}" if name in TARGETS else ""
            yield f"  {name:16} {rate:6.0f} images/s, {rate / best:.2f} of the faster{target}"


def make_photographs(root: Path, count: int) -> None:
    """Colours that flow, and the noise of a sensor: some 75 kB each."""
    for i in range(count):
        draws = np.random.default_rng(i)
        small = Image.fromarray(draws.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize((500, 375), Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + draws.standard_normal(smooth.shape, np.float32) * 12
        file = root / str(i % CLASSES) / f"{i:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=90)


def measured(folder: Path, workers: int, rounds: int) -> dict[str, float]:
    """Images a second of each contender, the median of the rounds."""
    root = folder / "images"
    contenders = {
        **kd_epochs(root, workers, rounds + 1),
        "torchvision": torchvision_epochs(root, workers),
        "timm": timm_epochs(root, workers),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, epoch in contenders.items():
            batches = iter(epoch())
            if name != FIRST:
                next(islice(batches, READY - 1, READY))
            start = time.perf_counter()
            shown = sum(len(batch) for batch in batches)
            rates[name].append(shown / (time.perf_counter() - start))
    return {name: round(statistics.median(each[1:]), 1) for name, each in rates.items()}


def kd_epochs(root: Path, workers: int, epochs: int) -> dict[str, Epoch]:
    """Without a cache, with one that is empty (another each time), with one that is filled."""
    names = sorted(str(file.relative_to(root)) for file in root.rglob("*.jpg"))
    labels = np.array([int(Path(name).parent.name) for name in names])
    split = open_splits(root, {"train": (names, labels)}, Silent())["train"]
    filled = open_photographs(split, STORED, Silent())
    how = Batching(CLASSES, BATCH, augment="crop_flip", image_size=SIZE)

    def images(store: Photographs, how: Batching) -> Iterator[Tensor]:
        return (batch.images for batch in training_batches(store, how, 0, workers))

    def all_epochs(store: Photographs) -> Epoch:
        stream = images(store, replace(how, epochs=epochs))
        return lambda: islice(stream, steps_per_epoch(len(store), BATCH))

    def first_epoch() -> Iterator[Tensor]:
        new = PictureCache(root.parent / "cache/photographs" / secrets.token_hex(8))
        return images(replace(filled, cache=new), how)

    return {
        "kd on demand": all_epochs(replace(filled, cache=None)),
        FIRST: first_epoch,
        "kd later epochs": all_epochs(filled),
    }


def torchvision_epochs(root: Path, workers: int) -> Epoch:
    """As its own reference scripts read a folder."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    crop = transforms.RandomResizedCrop(SIZE, scale=AREA, ratio=ASPECT)
    shown = transforms.Compose([crop, transforms.RandomHorizontalFlip(), transforms.ToTensor()])
    loader = DataLoader(
        ImageFolder(str(root), shown),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return lambda: (images for images, _ in loader)


def timm_epochs(root: Path, workers: int) -> Epoch:
    """As its train.py does, without its colours."""
    import timm.data as theirs

    loader = theirs.create_loader(  # type: ignore[attr-defined]
        theirs.create_dataset("", str(root)),  # type: ignore[attr-defined]
        input_size=(3, SIZE, SIZE),
        batch_size=BATCH,
        is_training=True,
        scale=AREA,
        ratio=ASPECT,
        color_jitter=0.0,
        interpolation="bilinear",
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=False,
        device=torch.device("cpu"),
    )
    return lambda: (images for images, _ in loader)


if __name__ == "__main__":
    main()
