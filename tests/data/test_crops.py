"""Random parts of pictures: where they lie, what they show, the same bits everywhere."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from kdcli.data.crops import AREA, crop, part_of, resized


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_part_by_hand() -> None:
    """12 x 12 of 16 x 16 pixels, at its size: the very pixels."""
    draws = np.array([(144 / 256 - AREA[0]) / (AREA[1] - AREA[0]), 0.5, 0.5, 0.99])
    assert part_of(16, 16, draws) == (4, 2, 16, 14)
    whole = picture(16, 16)
    assert np.array_equal(crop(whole, draws, 12).permute(1, 2, 0), whole[2:14, 4:16])


def test_halves_are_averaged() -> None:
    """A triangle over two pixels to either side: 1, 3, 3, 1 of 8, in both directions."""
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 240
    assert resized(edge, 4)[0].tolist() == [[0, 240 / 8, 240 * 7 / 8, 240]] * 4


def test_a_part_is_a_share_of_the_picture_whatever_its_pixels() -> None:
    for draws in np.random.default_rng(1).random((200, 4)):
        large = np.array(part_of(2000, 1500, draws)) / 4
        assert np.abs(large - part_of(500, 375, draws)).max() <= 1.5


def test_all_of_a_picture_is_seen_and_what_is_longer_than_a_side_is_cut() -> None:
    seen = np.zeros((75, 100), int)
    for draws in np.random.default_rng(2).random((300, 4)):
        left, top, right, bottom = part_of(100, 75, draws)
        assert 0 <= left < right <= 100
        assert 0 <= top < bottom <= 75
        assert AREA[0] * 0.9 < (right - left) * (bottom - top) / 7500 <= 1
        seen[top:bottom, left:right] += 1
    assert seen[:, 0].min() > 0
    assert seen[:, -1].min() > 0
    left, top, right, bottom = part_of(10_000, 1, np.array([0.5, 0.5, 0.5, 0.5]))
    assert (top, bottom) == (0, 1)


SUM = """
import hashlib, numpy as np
from kdcli.data.crops import crops
import torch
images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 3, 61, 83), np.uint8))
draws = np.random.default_rng(1).random((6, 4))
made = [crops(images, draws, size).numpy().tobytes() for size in (17, 32, 96)]
print(hashlib.sha256(b"".join(made)).hexdigest())
"""


@pytest.mark.slow
def test_any_instructions_of_the_processor_make_the_same_bits() -> None:
    sums = set()
    for instructions in ("default", "avx2", "avx512"):
        there = os.environ | {"ATEN_CPU_CAPABILITY": instructions}
        run = [sys.executable, "-c", SUM]
        sums.add(subprocess.run(run, env=there, capture_output=True, check=True).stdout)
    assert len(sums) == 1
