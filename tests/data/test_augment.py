"""An augmented image depends on (seed, view, index) and its own pixels, on nothing else."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kdcli.data import augment as augments
from kdcli.data.augment import AUGMENTS, MIRRORED, flip, resize, shift, unit
from kdcli.data.store import InMemory

NAMES = (None, *AUGMENTS)


def images(n: int, size: int = 33) -> Tensor:
    """Odd sides, so that vectorised kernels meet a tail."""
    numbers = np.random.default_rng(0).integers(0, 256, (n, 3, size, size), dtype=np.uint8)
    return torch.from_numpy(numbers)


def augment(
    batch: Tensor, name: str | None, seed: int, view: Any, index: Any, **more: Any
) -> Tensor:
    """Floats of the images, the first of them at the first place of `index`, ..."""
    everyone = torch.zeros((max(index) + 1, *batch.shape[1:]), dtype=batch.dtype)
    index = index.copy()  # backwards, too
    everyone[torch.from_numpy(index)] = batch
    store = InMemory(everyone, np.zeros(len(everyone), int))
    return unit(augments.augment(store, name, seed, view, index, **more))


@pytest.mark.parametrize("more", [{}, {"size": 21, "randaugment": "rand-m9-n2-mstd0.5"}])
@pytest.mark.parametrize("name", NAMES)
def test_independent_of_batch_and_order(name: str | None, more: dict[str, Any]) -> None:
    batch, index, view = images(9), np.arange(9) * 7, np.arange(9) % 3
    together = augment(batch, name, 5, view, index, **more)
    backwards = augment(batch.flip(0), name, 5, view[::-1], index[::-1], **more).flip(0)
    alone = [augment(batch[i : i + 1], name, 5, view[[i]], index[[i]], **more) for i in range(9)]
    assert torch.equal(together, backwards)
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("name", NAMES)
def test_shape_and_range(name: str | None) -> None:
    batch = images(4)
    result = augment(batch, name, 0, np.zeros(4, int), np.arange(4))
    assert result.shape == batch.shape
    assert result.dtype == torch.float32
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("name", AUGMENTS)
def test_seed_and_view_change_the_image(name: str) -> None:
    batch, index = images(16), np.arange(16)
    first = augment(batch, name, 0, np.zeros(16, int), index)
    assert not torch.equal(first, augment(batch, name, 0, np.ones(16, int), index))
    assert not torch.equal(first, augment(batch, name, 1, np.zeros(16, int), index))


@pytest.mark.parametrize("name", NAMES)
def test_randaugment_comes_on_top_with_numbers_of_its_own(name: str | None) -> None:
    batch, index, view = images(16), np.arange(16), np.zeros(16, int)
    below = augment(batch, name, 0, view, index)
    top = augment(batch, name, 0, view, index, randaugment="rand-m9")
    same = (top - below).abs().amax((1, 2, 3)) <= 0.5 / 255 + 1e-6  # levels are rounded to
    assert 0 < same.sum() < 16  # each change comes at p = 0.5, so a quarter stays
    assert not torch.equal(top, augment(batch, name, 0, view + 1, index, randaugment="rand-m9"))
    assert not torch.equal(top, augment(batch, name, 1, view, index, randaugment="rand-m9"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [20, 50])
def test_size(name: str | None, size: int) -> None:
    batch, index, view = images(4), np.arange(4), np.zeros(4, int)
    result = augment(batch, name, 0, view, index, size=size)
    assert result.shape == (4, 3, size, size)
    assert result.min() >= 0
    assert result.max() <= 1
    whole = augment(batch, name, 0, view, index)
    assert torch.equal(whole, augment(batch, name, 0, view, index, size=33))


def test_crops_of_larger_images_keep_their_pixels() -> None:
    """A crop of 40 pixels from a stored 64 has more to show at 32 than one of 20 from a 32."""
    fine = torch.arange(64).remainder(4).div(2, rounding_mode="floor").mul(255).byte()
    large = fine.expand(8, 3, 64, 64)  # stripes of 2 pixels: grey at half the size
    index, view = np.arange(8), np.zeros(8, int)
    from_large = augment(large, "crop_flip", 0, view, index, size=32)
    from_small = augment((resize(large, 32) * 255).byte(), "crop_flip", 0, view, index)
    assert from_large.std(-1).mean() > 1.2 * from_small.std(-1).mean()


@pytest.mark.parametrize(("mirrored", "plain"), MIRRORED.items())
def test_without_mirroring_the_rest_is_the_same(mirrored: str, plain: str) -> None:
    batch, index, view = images(16), np.arange(16), np.zeros(16, int)
    ours, flipped = (augment(batch, name, 0, view, index) for name in (plain, mirrored))
    same = [torch.equal(a, b) for a, b in zip(ours, flipped, strict=True)]
    assert 0 < sum(same) < 16
    assert all(
        one or torch.equal(a, b.flip(-1)) for one, a, b in zip(same, ours, flipped, strict=True)
    )


def test_resize_is_the_whole_image() -> None:
    batch = images(2, size=32)
    halves = resize(batch, 16)
    assert torch.allclose(halves.mean((2, 3)), batch.float().mean((2, 3)) / 255, atol=0.01)
    assert resize(batch, 32) is batch
    assert resize(batch, None) is batch


def test_none_only_scales() -> None:
    batch = images(2)
    assert torch.equal(augment(batch, None, 0, np.zeros(2, int), np.arange(2)), batch.float() / 255)


def test_shift_moves_and_fills_with_black() -> None:
    batch = images(3, size=16)  # reach: 2 pixels
    draws = np.array([0.0, 0.5, 0.999])
    first, middle, last = shift(batch, draws, draws)
    assert torch.equal(middle, batch[1])
    assert torch.equal(first[:, 2:, 2:], batch[0, :, :-2, :-2])
    assert first[:, :2].sum() == first[:, :, :2].sum() == 0
    assert torch.equal(last[:, :-2, :-2], batch[2, :, 2:, 2:])


def test_flip_mirrors_below_one_half() -> None:
    batch = images(2)
    mirrored, same = flip(batch, np.array([0.49, 0.5]))
    assert torch.equal(mirrored, batch[0].flip(2))
    assert torch.equal(same, batch[1])


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="known: shift"):
        augment(images(1), "shfit", 0, np.zeros(1, int), np.zeros(1, int))
