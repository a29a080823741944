"""Mixed images and mixed targets, by the same share; nothing else is touched."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from kdcli.core.records import Batch
from kdcli.data.loader import smooth
from kdcli.data.mixup import mixed

KEYS = [3, 4, 5, 6, (1 << 64) - 1]


def batch(n: int = 6, labels: Tensor | None = None, smoothing: float = 0.1) -> Batch:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) if labels is None else labels
    return Batch(
        images=torch.rand((n, 3, 17, 11), generator=generator),
        labels=labels,
        targets=smooth(labels, 7, smoothing),
        index=torch.arange(n) * 3,
        view=torch.arange(n) * 5,
        epoch=1.5,
        progress=0.25,
    )


def share(plain: Batch, new: Batch) -> float:
    """How much of each image's own target is left, for labels that all differ."""
    kept, gone = plain.labels[0], plain.labels[-1]
    high, low = plain.targets[0, kept], plain.targets[0, gone]
    return float((new.targets[0, kept] - low) / (high - low))


@pytest.mark.parametrize("key", KEYS)
def test_mixup_blends_images_and_targets_by_one_share(key: int) -> None:
    plain = batch()
    new = mixed(plain, 1.0, 0.0, key)
    lam = share(plain, new)
    assert 0 < lam < 1
    wanted = lam * plain.images + (1 - lam) * plain.images.flip(0)
    assert torch.allclose(new.images, wanted, atol=1e-5)
    assert torch.allclose(new.targets, lam * plain.targets + (1 - lam) * plain.targets.flip(0))


@pytest.mark.parametrize("key", KEYS)
def test_cutmix_pastes_a_box_as_large_as_the_share_that_moved(key: int) -> None:
    plain = batch()
    new = mixed(plain, 0.0, 1.0, key)
    pasted = (new.images == plain.images.flip(0)).all(1)
    assert torch.equal(pasted | (new.images == plain.images).all(1), torch.ones(6, 17, 11) > 0)
    assert pasted.float().mean((1, 2)).numpy() == pytest.approx(1 - share(plain, new), abs=1e-5)
    rows, columns = pasted[0].any(1).sum(), pasted[0].any(0).sum()
    assert rows * columns == pasted[0].sum()


def test_both_toss_a_coin() -> None:
    plain = batch()
    blended = [
        bool((mixed(plain, 1.0, 1.0, key).images != plain.images).all()) for key in range(40)
    ]
    assert 8 < sum(blended) < 32


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_targets_stay_distributions_and_labels_name_their_peak(key: int, smoothing: float) -> None:
    new = mixed(batch(smoothing=smoothing), 1.0, 1.0, key)
    assert torch.allclose(new.targets.sum(1), torch.ones(6))
    assert new.targets.dtype == torch.float32
    assert torch.equal(new.labels, new.targets.argmax(1))


def test_unknown_labels_stay_unknown() -> None:
    plain = batch(labels=torch.tensor([-1, 2, 3, -1]))
    new = mixed(plain, 1.0, 0.0, 3)
    assert new.labels[[0, 3]].tolist() == [-1, -1]
    assert torch.allclose(new.targets[0], torch.full((7,), 1 / 7))


def test_one_key_one_result_and_what_was_given_stays() -> None:
    plain = batch()
    first, again, other = (mixed(plain, 0.8, 1.0, key) for key in (5, 5, 6))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.images, other.images)
    assert torch.equal(plain.images, batch().images)
    assert torch.equal(first.index, plain.index)
    assert torch.equal(first.view, plain.view)
    assert (first.epoch, first.progress) == (1.5, 0.25)


def test_the_smallest_batch() -> None:
    plain = batch(2)
    assert torch.allclose(mixed(plain, 1.0, 0.0, 3).images.sum(0), plain.images.sum(0), atol=1e-6)


def test_the_global_generators_are_left_alone() -> None:
    np.random.seed(1)
    random.seed(1)
    expected = np.random.RandomState(1).rand(), random.Random(1).random()
    mixed(batch(), 1.0, 1.0, 9)
    assert (np.random.rand(), random.random()) == expected
