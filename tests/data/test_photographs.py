"""Whole photographs as a training sees them: the same pixels, cached or not, by any process."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_stores import same

from kdcli.core.errors import DataError
from kdcli.core.progress import Silent
from kdcli.data.crops import crop
from kdcli.data.loader import Batching, training_batches
from kdcli.data.photographs import Photographs, kept_bytes, open_photographs, open_training
from kdcli.data.picture_cache import pictures_folder
from kdcli.data.pool import Pooled
from kdcli.data.readers import ArrayImages, open_splits
from kdcli.data.several import one_behind_the_other
from kdcli.data.source import Split
from kdcli.data.store import Labelled, OnDemand
from kdcli.recipe.data import Pool
from kdcli.recipe.load import load_recipe
from kdcli.recipe.schema import Recipe

SIDE, SIZE = 24, 21
DRAWS = np.random.default_rng(5).random((8, 4))
"""Of as many photographs."""


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    """Upright and lying, large and small, JPEG and PNG."""
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    names = []
    for i in range(8):
        size = (60 + 40 * i, 50) if i % 2 else (20, 30 + 30 * i)
        draws = np.random.default_rng(i)
        small = Image.fromarray(draws.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        names.append(f"{i}.{'png' if i % 3 else 'jpg'}")
        small.resize(size, Image.Resampling.BICUBIC).save(tmp_path / names[-1])
    return open_splits(tmp_path, {"train": (names, np.arange(8) % 3)}, Silent())["train"]


def opened(split: Split, limit: int = 1 << 30) -> Photographs:
    return open_photographs(split, SIDE, Silent(), limit)


def batches(store: Photographs, workers: int = 0) -> list[Any]:
    how = Batching(3, 4, epochs=3, augment="crop_flip", image_size=SIZE)
    return list(training_batches(store, how, 0, workers))


def segments() -> list[Path]:
    return sorted(pictures_folder().rglob("*.pixels"))


@pytest.mark.parametrize("workers", [0, 2])
def test_neither_cache_nor_workers_change_a_bit(split: Split, workers: int) -> None:
    plain = batches(opened(split, limit=0))
    assert plain[0].images.shape == (4, 3, SIZE, SIZE)
    assert not segments()
    assert same(plain, batches(opened(split, limit=1), workers)), "filled as it goes"
    assert segments()
    assert same(plain, batches(opened(split), workers)), "read again"
    for file in segments():
        os.truncate(file, file.stat().st_size // 2)
    assert same(plain, batches(opened(split), workers)), "half of it gone"


def test_pixels_of_changed_files_are_not_kept(split: Split, tmp_path: Path) -> None:
    """They would be taken for those of the file that was opened, once it is back."""
    file = tmp_path / split.ids[0]
    before, whole = file.read_bytes(), split.read.reduced(0, SIDE)
    file.write_bytes((tmp_path / split.ids[3]).read_bytes())
    assert not np.array_equal(opened(split).picture(0), whole)
    file.write_bytes(before)
    assert np.array_equal(opened(split).picture(0), whole)


def test_a_crop_is_of_the_photograph_and_reduced_ones_are_nearly_the_same(split: Split) -> None:
    store = opened(split)
    for i, made in enumerate(store.crops(np.arange(8), DRAWS, SIZE)):
        reduced, whole = split.read.reduced(i, SIDE), split.read(i)
        assert torch.equal(made, crop(reduced, DRAWS[i], SIZE))
        assert min(reduced.shape[:2]) >= min(SIDE, *whole.shape[:2])
        full = crop(whole, DRAWS[i], SIZE)
        assert (made.float() - full.float()).abs().mean() < 4
    assert store.fetch(np.arange(2)).shape == (2, 3, SIDE, SIDE)


def test_synthetic_images_are_squares_and_real_ones_photographs(split: Split) -> None:
    joined = opened(one_behind_the_other(split, split.take(np.arange(3))))
    everyone = Pooled(Labelled(joined, np.full(len(joined), 7)), Pool(times=1), 0)
    index = np.array([20, 9, 3, 15, 0])
    made, by_one = everyone.crops(index, DRAWS[:5], SIZE), []
    for i, draws in zip(index, DRAWS, strict=False):
        picture = everyone.fetch(np.array([i]))[0].permute(1, 2, 0).numpy()
        by_one.append(
            crop(split.read.reduced(int(i) % 8, SIDE) if i < 11 else picture, draws, SIZE)
        )
    assert torch.equal(made, torch.stack(by_one))
    assert everyone.crops(index[:1], DRAWS[:1], None).shape[-1] == SIDE


def test_all_that_cannot_be_read_is_named_before_the_first_step(
    split: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("3.jpg", "4.png"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    broken = open_splits(tmp_path, {"train": (split.ids, split.labels)}, Silent())["train"]
    with pytest.raises(DataError, match="2 of 8 images cannot be read") as caught:
        opened(broken)
    assert "4.png" in caught.value.what
    monkeypatch.setenv("KD_CACHE_BYTES", "0")
    with pytest.raises(DataError, match=r"3\.jpg"):
        batches(opened(broken))


def cropping(**data: Any) -> Recipe:
    recipe = load_recipe("compress").recipe
    values = {"augment": "crop", "image_size": SIDE * 7 // 8} | data
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=values)})


def test_what_is_opened_and_kept_follows_the_recipe(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = cropping(pool=None)
    store = open_training(split, recipe, Silent())
    assert isinstance(store, Photographs)
    assert isinstance(store.squares, OnDemand)
    kept = sum(file.stat().st_size for file in segments())
    assert kept <= kept_bytes(split, recipe) * 1.1 <= kept * 1.3
    pooled = open_training(split, cropping(pool=Pool()), Silent())
    assert isinstance(pooled, Photographs)
    assert not isinstance(pooled.squares, OnDemand)
    assert not isinstance(open_training(split, cropping(augment="shift"), Silent()), Photographs)
    monkeypatch.setenv("KD_CACHE_BYTES", "0")
    assert kept_bytes(split, recipe) == 0


def test_images_in_memory_need_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_CACHE", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (6, 100, 60), dtype=np.uint8)
    digits = Split(np.arange(6) % 3, tuple("abcdef"), ArrayImages(images))
    assert opened(digits).picture(0).shape == (50, 30, 3)
    assert not segments()
