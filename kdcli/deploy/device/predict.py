"""Classify an image: python predict.py IMAGE [--model model.onnx] [--top 5]

Needs numpy and onnxruntime; Pillow for images that are neither .npy (uint8, H x W x 3) nor binary
PPM / PGM, or not of the model's size. What the model takes stands in its own metadata."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

PNM = re.compile(rb"P([56])G(\d+)G(\d+)G255\s".replace(b"G", rb"(?:\s|#[^\n]*\n)+"))


def read(path: Path) -> Any:
    """The image as RGB, uint8 (H, W, 3)."""
    if path.suffix == ".npy":
        return np.load(path)
    if header := PNM.match(content := path.read_bytes()):
        shape = int(header[3]), int(header[2]), 3 if header[1] == b"6" else 1
        pixels = np.frombuffer(content, np.uint8, shape[0] * shape[1] * shape[2], header.end())
        return pixels.reshape(shape).repeat(3 // shape[2], axis=2)
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # grey of 16 bits
        image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def fit(image: Any, size: int) -> Any:
    """The square in its middle, at `size` pixels a side."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    image = image[top : top + side, left : left + side]
    if side != size:
        from PIL import Image

        channels = [Image.fromarray(image[..., i]) for i in range(3)]
        image = np.stack([np.asarray(c.resize((size, size), 3)) for c in channels], 2)  # bicubic
    return image


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("image", type=Path)
parser.add_argument("--model", default=Path(__file__).with_name("model.onnx"))
parser.add_argument("--top", type=int, default=5, help="how many classes")
asked = parser.parse_args()

session = onnxruntime.InferenceSession(str(asked.model), providers=["CPUExecutionProvider"])
takes, known = session.get_inputs()[0], session.get_modelmeta().custom_metadata_map
size = int(known["kd.input_size"])
try:
    image = read(asked.image)
    if known.get("kd.resize") != "1":  # else the model does it
        image = fit(image, int(known.get("kd.image_size", size)))
    if known.get("kd.input_kind") != "pixels":
        mean, std = (np.array(json.loads(known[f"kd.{x}"]), np.float32) for x in ("mean", "std"))
        image = ((fit(image / np.float32(255), size).clip(0, 1) - mean) / std).transpose(2, 0, 1)
except ImportError:
    sys.exit(f"{asked.image}: no .npy or PPM of {size} x {size} pixels; pip install pillow")

batch = takes.shape[0] if isinstance(takes.shape[0], int) else 1
row = session.run(None, {takes.name: np.stack([image] * batch)})[0][0]
if known.get("kd.output") != "probabilities":
    row = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
for i in np.argsort(-row, kind="stable")[: asked.top]:
    print(f"{row[i]:.4f}  {json.loads(known['kd.classes'])[i]}")
