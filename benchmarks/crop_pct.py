"""What share of a photograph evaluation should show a model that learnt random crops.

    python benchmarks/crop_pct.py make DIR
    for seed in 0 1 2; do kd train test_resnet --data DIR --out RUN$seed --seed $seed \
        --set data.image_size=64 --set train.epochs=25 --set student.pretrained=false \
        --set train.patience=null; done
    python benchmarks/crop_pct.py compare RUN0 RUN1 RUN2 DIR [--json]

Pictures made up like photographs: pink noise in colour, 200 to 520 pixels a side, none square, with
a blurred polygon whose kind is the class; 1,800 / 120 / 600 of them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from tables import add_json, show

from kdcli.core.arrays import Pixels
from kdcli.core.progress import Silent
from kdcli.data.open import open_source
from kdcli.data.store import open_store
from kdcli.evaluation.answers import ask
from kdcli.evaluation.metrics import accuracy
from kdcli.runs.run import Run

SHARES = (1.0, 0.95, 0.9, 0.875, 0.8, 0.7)

KINDS = ((3, 1.0), (4, 1.0), (5, 0.4), (40, 1.0), (4, 0.35), (8, 0.5))
"""Corners, and how far the points between them are from the middle."""


def pink(noise: np.random.Generator, height: int, width: int) -> Pixels:
    """Natural images have amplitudes of about 1 / frequency."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    planes = []
    for _ in range(3):
        waves = noise.normal(size=(2, *frequency.shape)) / frequency**1.6
        plane = np.fft.irfft2(waves[0] + 1j * waves[1], (height, width))
        planes.append(plane / plane.std())
    mixed = np.stack([36 * planes[0] + 18 * plane for plane in planes], axis=2)
    return (128 + mixed + noise.normal(0, 15, 3)).clip(0, 255).astype(np.uint8)


def picture(noise: np.random.Generator, kind: int) -> Image.Image:
    sides = int(noise.integers(330, 520)), int(noise.integers(200, 320))
    width, height = sides if noise.random() < 0.6 else sides[::-1]
    image, short = Image.fromarray(pink(noise, height, width)), min(sides)
    corners, inner = KINDS[kind]
    radius, turn = noise.uniform(0.2, 0.33) * short, noise.uniform(0, 2 * np.pi)
    x, y = (side / 2 + noise.uniform(-0.12, 0.12) * short for side in (width, height))
    steps = range(2 * corners) if inner < 1 else range(0, 2 * corners, 2)
    points = [(turn + np.pi * j / corners, radius * (inner if j % 2 else 1)) for j in steps]
    low = 0 if noise.random() < 0.5 else 190
    colour = tuple(int(level) for level in noise.integers(low, low + 60, 3))
    outline = [(x + r * np.cos(angle), y + r * np.sin(angle)) for angle, r in points]
    ImageDraw.Draw(image).polygon(outline, fill=colour)
    return image.filter(ImageFilter.GaussianBlur(0.7))


def make(folder: Path) -> None:
    noise = np.random.default_rng(0)
    for split, count in (("train", 300), ("val", 20), ("test", 100)):
        for kind in range(len(KINDS)):
            place = folder / split / f"{kind}"
            place.mkdir(parents=True)
            for i in range(count):
                picture(noise, kind).save(place / f"{i:03}.jpg", quality=90)


def compare(runs: list[Path], folder: Path) -> dict[str, list[float]]:
    """Accuracy on the test images of each run, by the share that is shown."""
    found: dict[str, list[float]] = {}
    for crop_pct in SHARES:
        for run in map(Run, runs):
            size, test = int(run.spec.recipe.data.image_size), open_source(str(folder)).test
            store = open_store(test, size, Silent(), crop_pct=crop_pct)
            logits = ask(run.model, store, torch.device("cpu")).logits
            found.setdefault(str(crop_pct), []).append(accuracy(logits, store.labels))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "compare"])
    parser.add_argument("places", nargs="+", type=Path)
    add_json(parser)
    asked = parser.parse_args()
    *runs, folder = asked.places
    if asked.what == "make":
        make(folder)
    else:
        found = compare(runs, folder)
        show(
            asked,
            {"accuracy": found},
            (
                f"{share:>6}  {np.mean(each):.4f}  ({', '.join(f'{one:.4f}' for one in each)})"
                for share, each in found.items()
            ),
        )
