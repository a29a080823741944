"""Synthetic images: what they are made of, and that they are the same whenever they are made."""

import pickle

import numpy as np
import torch

from kdcli.data.pool import Pooled
from kdcli.data.store import InMemory, Labelled
from kdcli.recipe.data import Pool

N, SIDE = 5, 8


def flat(count=N, first=0):
    """Images of one level each: 10, 20, ..."""
    levels = torch.arange(first + 1, first + count + 1, dtype=torch.uint8) * 10
    images = levels.view(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE).contiguous()
    return InMemory(images, np.arange(count))


def mixed(seed=0, times=3):
    return Pooled(flat(), Pool(times=times), seed)


def munged(**settings):
    near = np.array([1, 0, 3, 2, 3])
    return Pooled(flat(), Pool(by="munge_patch", times=2, **settings), 0, near)


def everything(store):
    return store.fetch(np.arange(len(store)))


def test_the_originals_come_first_and_keep_their_labels():
    store = mixed()
    assert len(store) == N * 4
    assert torch.equal(everything(store)[:N], flat().images)
    assert store.labels.tolist() == [*range(N), *[-1] * 15]


def test_mixup_blends_two_images_in_every_share():
    store = mixed(times=100)
    made = everything(store)[N:]
    assert made.dtype == torch.uint8
    levels = made[:, 0, 0, 0].float()
    assert (made == made[:, :1, :1, :1]).all()
    assert levels.min() >= 10
    assert levels.max() <= 10 * N
    assert len(levels.unique()) > 30  # not those of the originals alone
    assert abs(levels.mean() - 30) < 2


def test_an_image_is_the_same_in_any_batch_and_process():
    for store in (mixed(), munged()):
        whole = everything(store)
        order = np.array([12, 3, 9, 12, 7])
        assert torch.equal(pickle.loads(pickle.dumps(store)).fetch(order), whole[order])
    assert not torch.equal(everything(mixed(seed=1)), everything(mixed()))


def test_patches_are_the_neighbours_or_the_images_own():
    store = munged(grid=4)
    made = everything(store)[N:]
    for i, image in enumerate(made):
        own, other = 10 * (i % N + 1), 10 * (int(store.neighbours[i % N]) + 1)
        assert set(image.unique().tolist()) <= {own, other}
        patches = image.unfold(1, 2, 2).unfold(2, 2, 2)
        assert (patches == patches[..., :1, :1]).all()
    assert not torch.equal(made[:N], made[N:])


def test_the_probability_is_that_of_a_swap():
    own = flat().images
    assert torch.equal(everything(munged(swap=0.0))[N : 2 * N], own)
    assert torch.equal(everything(munged(swap=1.0))[N : 2 * N], own[[1, 0, 3, 2, 3]])
    share = (everything(munged(swap=0.25, grid=8))[N:] != own.repeat(2, 1, 1, 1)).float().mean()
    assert 0.18 < share < 0.32


def test_other_labels_leave_the_images_alone():
    store = Labelled(mixed(), np.arange(20))
    assert len(store) == 20
    assert torch.equal(everything(store), everything(mixed()))
