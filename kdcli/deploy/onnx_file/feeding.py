"""What an ONNX file of kd is fed and what it gives, by its own metadata; no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcli.core.arrays import Floats, Pixels
from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.json_text import from_json
from kdcli.data.decoding import UNTOLD, Decoding
from kdcli.data.images import fit, resize
from kdcli.deploy.onnx_file.read import EXPORT_AGAIN, load, metadata

TOGETHER = 32
LARGEST = 8192
"""Pixels of a side."""


@dataclass(frozen=True)
class Feeding:
    """From images to what the file takes, from its answers to probabilities."""

    classes: tuple[str, ...]
    input_size: int
    """Pixels of a side as the model learnt them."""
    image_size: int
    """Pixels of a side that images are fitted to first."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixels: bool = False
    """It takes uint8 (B, H, W, 3), not normalised float32 (B, 3, S, S)."""
    any_size: bool = False
    """It brings images to its size by itself."""
    probabilities: bool = False
    """It gives probabilities, not logits."""
    decoding: Decoding = UNTOLD
    """How image files become pixels."""
    crop_pct: float = 1.0
    """Share of an image's shorter side that it is shown."""

    @property
    def together(self) -> int:
        """Images of a batch; of a file that takes any size 1, since a batch has one size."""
        return 1 if self.any_size else TOGETHER

    def ready(self, images: Sequence[Pixels]) -> NDArray[Any]:
        """Images (H, W, 3) as the file takes them; of one size where it takes any."""
        if not self.any_size:
            images = [fit(image, self.image_size, self.crop_pct) for image in images]
        return np.stack(images if self.pixels else [self._normalised(image) for image in images])

    def _normalised(self, image: Pixels) -> Floats:
        """(3, S, S)."""
        scaled = resize(np.divide(image, 255, dtype=np.float32), self.input_size)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))

    def answered(self, answers: Floats) -> Floats:
        """Probabilities (B, K) of the file's answers (B, K)."""
        if self.probabilities:
            return answers
        powers: Floats = np.exp(answers - answers.max(axis=1, keepdims=True))
        powers /= powers.sum(axis=1, keepdims=True)
        return powers


def feeding_of(path: Path) -> Feeding:
    """What the file at `path` says of itself.

    Raises:
        UsageError: there is none, or it says nothing: kd did not write it.
        DamagedFile: it is no ONNX file, a newer kd's, or what it says makes no sense.
    """
    known = metadata(load(path), path)
    lacking = [
        key for key in ("kd.classes", "kd.input_size", "kd.mean", "kd.std") if key not in known
    ]
    if lacking:
        raise UsageError(
            f"{path}: an ONNX file, but not one of kd's: it does not say its {', '.join(lacking)}",
            "kd export RUN writes one; kd export FILE.pth --model NAME does of somebody's weights",
        )
    try:
        return _parsed(known)
    except (ValueError, TypeError, OverflowError) as error:
        raise DamagedFile(f"{path}: its metadata make no sense ({error})", EXPORT_AGAIN) from error


def _parsed(known: Mapping[str, str]) -> Feeding:
    """Files that say no more than the least take normalised tensors and give logits."""
    classes = from_json(known["kd.classes"])
    found = Feeding(
        classes=tuple(map(str, classes)),
        input_size=int(known["kd.input_size"]),
        image_size=int(known.get("kd.image_size", known["kd.input_size"])),
        mean=tuple(map(float, from_json(known["kd.mean"]))),
        std=tuple(map(float, from_json(known["kd.std"]))),
        pixels=known.get("kd.input_kind") == "pixels",
        any_size=known.get("kd.resize") == "1",
        probabilities=known.get("kd.output") == "probabilities",
        decoding=Decoding.from_texts(known),
        crop_pct=float(known.get("kd.crop_pct", 1)),
    )
    if not isinstance(classes, list) or len(set(found.classes)) != len(classes):
        raise ValueError("classes")
    if not all(0 < side <= LARGEST for side in (found.input_size, found.image_size)):
        raise ValueError("size of images")
    scales = np.array([found.mean, found.std])
    if scales.shape != (2, 3) or not np.isfinite(scales).all() or (scales[1] <= 0).any():
        raise ValueError("mean and std")
    if not 0 < found.crop_pct <= 1:
        raise ValueError("crop_pct")
    return found
