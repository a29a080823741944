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
# no others: for some Pillow starts programs, whatever the file's name says
FORMATS = ["JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000"]
FORMATS += ["DIB", "PCX", "QOI", "SGI", "TGA"]
UNSEEN = [*range(32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
SPELLED = {i: f"\\u{i:04x}" for i in UNSEEN}  # no terminal is to obey what a stranger wrote


def read(path: Path, known: Any) -> Any:
    """The image as RGB, uint8 (H, W, 3), by the rule in the model's metadata."""
    if path.suffix == ".npy":
        return np.load(path)
    if header := PNM.match(content := path.read_bytes()):
        shape = int(header[3]), int(header[2]), 3 if header[1] == b"6" else 1
        pixels = np.frombuffer(content, np.uint8, shape[0] * shape[1] * shape[2], header.end())
        return pixels.reshape(shape).repeat(3 // shape[2], axis=2)
    from PIL import Image, ImageOps

    image: Any = Image.open(path, formats=FORMATS)
    white = float(known.get("kd.white.integer", 65535))
    tags, said = getattr(image, "tag_v2", {}), image.tile[0][3] if image.tile else ""
    bits, signed = max(tags.get(258) or [0]), 2 in (tags.get(339) or [])
    if (bits == 8 and signed) or (bits > 8 and (tags.get(284) == 2 or tags.get(262) == 0)):
        sys.exit(f"{path}: a kind of TIFF that Pillow misreads")
    words = said[0] if isinstance(said, tuple) and said else said
    levels = np.asarray(ImageOps.exif_transpose(image))
    colours = re.fullmatch("(RGB[AX]?;16)([BLN])", str(words))
    if colours and white != 65535:  # Pillow takes the upper bytes; here are the lower ones
        words = colours[1] + {"B": "L", "L": "B", "N": "LB"[sys.byteorder == "little"]}[colours[2]]
        low = Image.open(path, formats=FORMATS)
        args = (words, *said[1:]) if isinstance(said, tuple) else words
        low.tile = [tile._replace(args=args) for tile in low.tile]
        levels = levels.astype(np.uint16) * 256 + np.asarray(ImageOps.exif_transpose(low))
    image = ImageOps.exif_transpose(image)
    if levels.itemsize > 1:  # more than 8 bits
        white = float(known.get("kd.white.float", 1)) if image.mode == "F" else white
        slack = white / 10 if image.mode == "F" else 0
        if not (levels.min() >= -slack and levels.max() <= white + slack):
            sys.exit(f"{path}: pixels of {levels.min()} to {levels.max()}; {white:g} is white")
        image = Image.fromarray((levels / (white / 255)).round().clip(0, 255).astype(np.uint8))
    grey = known.get("kd.background", "none")
    if image.has_transparency_data and grey != "none":
        behind = Image.new("RGBA", image.size, (int(grey), int(grey), int(grey), 255))
        image = Image.alpha_composite(behind, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def fit(image: Any, size: int, crop_pct: Any = 1) -> Any:
    """Its shorter side at size / crop_pct pixels, and of that the middle, `size` a side."""
    most = 16 * min(image.shape[:2])  # of a strip the middle is enough
    image = image[tuple(slice(max(0, n - most) // 2, (n + most) // 2) for n in image.shape[:2])]
    tall, wide = (int(size / float(crop_pct)) * n // min(image.shape[:2]) for n in image.shape[:2])
    if (tall, wide) != image.shape[:2]:
        from PIL import Image

        channels = [Image.fromarray(image[..., i]) for i in range(3)]
        image = np.stack([np.asarray(c.resize((wide, tall), 3)) for c in channels], 2)  # bicubic
    return image[round((tall - size) / 2) :, round((wide - size) / 2) :][:size, :size]


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("image", type=Path)
parser.add_argument("--model", default=Path(__file__).with_name("model.onnx"))
parser.add_argument("--top", type=int, default=5, help="how many classes")
asked = parser.parse_args()

session = onnxruntime.InferenceSession(str(asked.model), providers=["CPUExecutionProvider"])
takes, known = session.get_inputs()[0], session.get_modelmeta().custom_metadata_map
size = int(known["kd.input_size"])
try:
    image = read(asked.image, known)
    if known.get("kd.resize") != "1":  # else the model does it
        image = fit(image, int(known.get("kd.image_size", size)), known.get("kd.crop_pct", 1))
    if known.get("kd.input_kind") != "pixels":
        mean, std = (np.array(json.loads(known[f"kd.{x}"]), np.float32) for x in ("mean", "std"))
        image = ((fit(image / np.float32(255), size).clip(0, 1) - mean) / std).transpose(2, 0, 1)
except ImportError:
    sys.exit(f"{asked.image}: no .npy or PPM of {size} x {size} pixels; pip install pillow")
except Exception as error:  # damaged bytes make decoders raise almost anything
    sys.exit(f"{asked.image}: not a readable image ({error})".translate(SPELLED))

batch = takes.shape[0] if isinstance(takes.shape[0], int) else 1
row = session.run(None, {takes.name: np.stack([image] * batch)})[0][0]
if known.get("kd.output") != "probabilities":
    row = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
for i in np.argsort(-row, kind="stable")[: asked.top]:
    print(f"{row[i]:.4f}  {json.loads(known['kd.classes'])[i]}".translate(SPELLED))
