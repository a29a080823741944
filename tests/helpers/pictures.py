"""Little image files for the tests of data."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, colour: int = 0, size: int = 12) -> Path:
    """A PNG of noise; the same colour, the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(colour).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def pictures(folder: Path, count: int, first: int = 0) -> list[Path]:
    """00.png, 01.png, ..., no two alike."""
    return [picture(folder / f"{i:02d}.png", first + i) for i in range(count)]


def lines(*rows: Iterable[object]) -> str:
    """A CSV text."""
    return "".join(",".join(map(str, row)) + "\n" for row in rows)
