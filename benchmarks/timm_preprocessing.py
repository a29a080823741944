"""What timm's own transform costs, which resizes before it crops; kd crops before it resizes.

    python benchmarks/timm_preprocessing.py make DIR
    kd train test_resnet --data DIR --out RUN --set data.image_size=64 --set train.epochs=25 \
        --set student.pretrained=false --set train.patience=null
    kd export RUN --format timm
    python benchmarks/timm_preprocessing.py compare RUN DIR [--json]

Pictures made up like photographs: pink noise in colour, 200 to 520 pixels a side, none square, with
a blurred polygon whose kind is the class; 1,800 / 120 / 600 of them.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageDraw, ImageFilter
from tables import add_json, show
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from kdcli.core.arrays import Floats, Pixels
from kdcli.data.images import fit, read_image
from kdcli.models.loading import load
from kdcli.models.tap import Tap

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


def compare(run: Path, folder: Path) -> dict[str, float]:
    """kd's own preprocessing and timm's, of the same files by the same model."""
    loaded = load(run / "model.pt")
    tap = Tap(loaded.module, loaded.args, "").eval()
    model = timm.create_model(f"local-dir:{run / 'timm'}", pretrained=True).eval()
    known: dict[str, Any] = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    transform = create_transform(**known)
    grey = 255 * np.array(loaded.args.std)[:, None, None]
    apart, answers, labels = [], [], []
    for file in sorted((folder / "test").rglob("*.jpg")):
        pixels = read_image(file)
        square = torch.tensor(fit(pixels, loaded.args.input_size)).permute(2, 0, 1)[None]
        ours, theirs = tap.prepare(square / 255), transform(Image.fromarray(pixels))[None]
        with torch.inference_mode():
            answers.append([model(images)[0].softmax(0).numpy() for images in (ours, theirs)])
        apart.append(np.abs((ours - theirs)[0].numpy() * grey))
        labels.append(int(file.parent.name))
    given: Floats = np.array(answers)
    best = given.argmax(axis=2)
    right = (best == np.array(labels)[:, None]).mean(axis=0)
    return {
        "images": len(labels),
        "mean_apart": float(np.mean(apart)),
        "max_apart": float(np.max(apart)),
        "accuracy": float(right[0]),
        "accuracy_timm": float(right[1]),
        "same_class": float(np.mean(best[:, 0] == best[:, 1])),
        "max_probability": float(np.abs(given[:, 0] - given[:, 1]).max()),
    }


def in_words(found: dict[str, float]) -> list[str]:
    return [
        f"{found['images']} images: {found['mean_apart']:.2f} of 255 apart, at most "
        f"{found['max_apart']:.0f}",
        f"accuracy {found['accuracy']:.4f} kd's way, {found['accuracy_timm']:.4f} timm's",
        f"the same class on {found['same_class']:.4f}",
        f"a probability differs by up to {found['max_probability']:.3f}",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "compare"])
    parser.add_argument("places", nargs="+", type=Path)
    add_json(parser)
    asked = parser.parse_args()
    if asked.what == "make":
        make(*asked.places)
    else:
        found = compare(*asked.places)
        show(asked, found, in_words(found))
