"""Does it cost accuracy that large photographs are decoded at a half, a quarter, ... of their size?

    python benchmarks/reduced_decoding.py [--train 800] [--test 500] [--epochs 12] [--json]

Photographs of 1000 x 750 made of Fashion-MNIST's pictures (Debian's dataset-fashion-mnist), one
large and bright in each, before dark colours that flow and the noise of a sensor. timm's
test_resnet learns crops of 64 pixels, from photographs decoded at an eighth (as kd does) and in
full; three seeds, whose crops and first weights are the same on both sides. Tested on squares that
are decoded in full.

Measured: 0.686 reduced (by seed 0.696, 0.698, 0.664), 0.684 in full (0.698, 0.692, 0.662).
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from fashion_mnist import DEBIAN
from PIL import Image
from tables import add_json, show

from kdcli.core.arrays import Pixels
from kdcli.core.progress import Silent
from kdcli.data.loader import Batching, plain_batches, steps_per_epoch, training_batches
from kdcli.data.photographs import Photographs, open_photographs
from kdcli.data.readers import open_splits
from kdcli.data.source import Split
from kdcli.data.sources.idx import read_idx
from kdcli.data.store import Store, open_store

SIZE, STORED, WHOLE, CLASSES, SEEDS = 64, 73, 750, 10, 3
WIDTH, HEIGHT, BATCH, RATE = 1000, 750, 32, 3e-3
MEAN = 0.35
"""Of the pixels, about; their deviation is taken to be a quarter."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=800)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=12)
    add_json(parser)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KD_CACHE"] = f"{folder}/cache"
        train = photographs(Path(folder) / "train", "train", asked.train)
        test = open_store(photographs(Path(folder) / "t10k", "t10k", asked.test), SIZE, Silent())
        stores = {name: open_photographs(train, side, Silent()) for name, side in SIDES.items()}
        found: dict[str, list[float]] = {name: [] for name in SIDES}
        for seed in range(SEEDS):
            for name, store in stores.items():
                found[name].append(accuracy(store, test, seed, asked.epochs))
        sizes = {name: store.picture(0).shape[:2] for name, store in stores.items()}
    table = []
    for name, each in found.items():
        height, width = sizes[name]
        told = " ".join(f"{one:.3f}" for one in each)
        table.append(f"{name:8} ({width} x {height}): {statistics.mean(each):.3f}, by seed {told}")
    show(asked, found, table)


SIDES = {"reduced": STORED, "full": WHOLE}
"""Below which no side is reduced."""


def photographs(folder: Path, part: str, count: int) -> Split:
    """The first pictures of a part, as JPEG files."""
    pixels = read_idx(DEBIAN / f"{part}-images-idx3-ubyte.gz", 3)[:count]
    labels = read_idx(DEBIAN / f"{part}-labels-idx1-ubyte.gz", 1)[:count]
    folder.mkdir()
    names = [f"{i:05}.jpg" for i in range(count)]
    for i, name in enumerate(names):
        Image.fromarray(photograph(pixels[i], seed=i)).save(folder / name, quality=90)
    listed = {"train": (names, labels.astype(np.int64))}
    return open_splits(folder, listed, Silent())["train"]


def photograph(picture: Pixels, seed: int) -> Pixels:
    """The picture at 400 to 600 pixels, tinted, somewhere before a background."""
    draws = np.random.default_rng(seed)
    bicubic = Image.Resampling.BICUBIC
    colours = Image.fromarray(draws.integers(0, 120, (6, 8, 3), dtype=np.uint8))
    canvas = np.asarray(colours.resize((WIDTH, HEIGHT), bicubic), np.float32).copy()
    side = int(draws.integers(400, 600))
    mask = np.asarray(Image.fromarray(picture).resize((side, side), bicubic), np.float32) / 255
    top, left = draws.integers(0, (HEIGHT - side, WIDTH - side))
    place = canvas[top : top + side, left : left + side]
    # what is dark in the picture lets the background through
    place += mask[..., None] * (draws.uniform(160, 255, 3).astype(np.float32) - place)
    canvas += 12 * draws.standard_normal(canvas.shape, np.float32)
    return canvas.clip(0, 255).astype(np.uint8)


def accuracy(store: Photographs, test: Store, seed: int, epochs: int) -> float:
    """On the test images, of a net that has learnt from the store."""
    torch.manual_seed(seed)
    model = timm.create_model("test_resnet", num_classes=CLASSES)
    how = Batching(CLASSES, BATCH, epochs=epochs, seed=seed, augment="crop_flip", image_size=SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    steps = epochs * steps_per_epoch(len(store), BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for batch in training_batches(store, how, 0, workers=0):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(4 * (batch.images - MEAN)), batch.labels)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return float(np.mean([*right(model.eval(), test)]))


@torch.no_grad()
def right(model: torch.nn.Module, test: Store) -> Iterator[bool]:
    """Of each image."""
    for batch in plain_batches(test, num_classes=CLASSES, workers=0):
        answers = model(4 * (batch.images - MEAN)).argmax(1)
        yield from (answers == batch.labels).tolist()


if __name__ == "__main__":
    main()
