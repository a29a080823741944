"""Batches are pure functions of (seed, epoch, number), whoever makes them."""

import pickle

import numpy as np
import pytest
import torch
from small_stores import SIZE, same, store, training

from kdcli.core.errors import DataError
from kdcli.data.loader import plain_batches, smooth, steps_per_epoch
from kdcli.data.store import InMemory


@pytest.mark.parametrize("kind", ["memory", "on demand"])
@pytest.mark.parametrize("augment", ["shift", "crop_flip"])
def test_workers_change_no_bit(kind: str, augment: str) -> None:
    of = store(kind)
    assert same(training(of, augment=augment), training(of, augment=augment, workers=2))


def test_where_the_images_lie_changes_no_bit() -> None:
    assert same(training(store("memory")), training(store("on demand")))


def test_the_global_generator_is_left_alone() -> None:
    of, before = store(), torch.get_rng_state()
    training(of, mixup=1.0, cutmix=1.0, randaugment="rand-m9")
    training(of, workers=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", ["memory", "on demand"])
def test_stores_can_be_handed_to_spawned_workers(kind: str) -> None:
    of = store(kind)
    assert same(training(of), training(pickle.loads(pickle.dumps(of))))


def test_stores_know_their_workers() -> None:
    assert store("memory").workers == 0
    assert 1 <= store("on demand").workers <= 4


def test_an_epoch_holds_every_image_at_most_once() -> None:
    batches = training(store())
    index = torch.cat([batch.index for batch in batches])
    assert len(batches) == steps_per_epoch(21, 4) == 5
    assert len(index) == len(set(index.tolist())) == 20
    assert all((batch.view == 1).all() for batch in batches)
    assert all(torch.equal(batch.labels, batch.index % 3) for batch in batches)


def test_epochs_and_seeds_differ() -> None:
    of = store()
    first, later, other = training(of), training(of, epoch=2), training(of, seed=1)
    assert not torch.equal(first[0].index, later[0].index)
    assert not torch.equal(first[0].index, other[0].index)


def test_the_sampler_shows_classes_equally_and_views_count_passes() -> None:
    of = store()
    of = InMemory(of.fetch(np.arange(21)), np.array([0] * 16 + [1] * 4 + [2]))
    epochs = [training(of, epoch=epoch, batch_size=6, balance="sampler") for epoch in range(3)]
    assert [len(batches) for batches in epochs] == [steps_per_epoch(21, 6)] * 3
    batches = [batch for batches in epochs for batch in batches]
    rows, views, labels = (
        torch.cat([getattr(batch, field) for batch in batches])
        for field in ("index", "view", "labels")
    )
    assert labels.bincount().tolist() == [18, 18, 18]
    assert torch.equal(labels, torch.from_numpy(of.labels)[rows])
    assert views[rows == 20].sort().values.tolist() == list(range(18))
    rare = torch.cat([batch.images[batch.index == 20] for batch in batches])
    assert len(torch.unique(rare, dim=0)) > 5  # varied anew each time: 9 places to shift to


def test_the_weighted_loss_changes_no_batch() -> None:
    assert same(training(store(), balance="loss"), training(store()))


def test_mixing_keeps_the_number_of_steps_and_drops_the_odd_image() -> None:
    batches = training(store(), batch_size=5, mixup=1.0)
    assert [len(batch.labels) for batch in batches] == [4] * steps_per_epoch(21, 5)
    (batch,) = training(store(n=3), batch_size=64, cutmix=1.0)
    assert len(batch.images) == len(batch.targets) == 2


def test_batches_are_mixed_each_with_its_own_numbers() -> None:
    plain, new = training(store()), training(store(), mixup=1.0)
    pairs = list(zip(plain, new, strict=True))
    assert all(torch.equal(a.index, b.index) for a, b in pairs)
    assert not any(torch.equal(a.images, b.images) for a, b in pairs)
    shares = [((b.images - a.images.flip(0)) / (a.images - a.images.flip(0))) for a, b in pairs]
    medians = {round(float(share[share.isfinite()].median()), 4) for share in shares}
    assert len(medians) == len(pairs)
    assert not same(new, training(store(), mixup=1.0, seed=1))


def test_larger_images_come_out_at_the_size_wanted() -> None:
    (batch, *_) = training(store(), augment="crop_flip", image_size=8)
    assert batch.images.shape == (4, 3, 8, 8)
    (plain, *_) = plain_batches(store(), num_classes=3, image_size=8)
    assert plain.images.shape == (21, 3, 8, 8)
    of = store()
    assert same(training(of), training(of, image_size=SIZE))


def test_the_clock() -> None:
    batches = training(store())
    assert [batch.epoch for batch in batches] == [1.0, 1.2, 1.4, 1.6, 1.8]
    assert [batch.progress for batch in batches] == [b.epoch / 4 for b in batches]


def test_batch_size_is_capped() -> None:
    (batch,) = training(store(n=3), batch_size=64)
    assert len(batch.labels) == 3


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images(n: int) -> None:
    with pytest.raises(DataError, match="two images or more"):
        training(store(n=n))


def test_targets_are_smoothed_over_all_classes() -> None:
    targets = smooth(torch.tensor([2, -1]), 4, 0.1)
    assert torch.allclose(targets[0], torch.tensor([0.025, 0.025, 0.925, 0.025]))
    assert torch.equal(targets[1], torch.full((4,), 0.25))


@pytest.mark.parametrize("workers", [0, 1])
def test_plain_batches_are_all_images_in_order(workers: int) -> None:
    of = store()
    batches = list(plain_batches(of, num_classes=3, batch_size=8, workers=workers))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(21))
    assert torch.equal(batches[2].images, of.fetch(np.arange(16, 21)).float() / 255)
    assert {batch.progress for batch in batches} == {0.0}


def test_an_epoch_may_be_a_part_of_a_pass() -> None:
    of = store()
    epochs = [training(of, epoch=epoch, samples_per_epoch=9) for epoch in range(6)]
    assert [len(batches) for batches in epochs] == [steps_per_epoch(9, 4)] * 6
    seen = torch.cat([batch.index for batches in epochs for batch in batches])
    views = torch.cat([batch.view for batches in epochs for batch in batches])
    assert sorted(seen[:21].tolist()) == sorted(seen[21:42].tolist()) == list(range(21))
    assert views.tolist() == [0] * 21 + [1] * 21 + [2] * 6
    assert epochs[2][1].epoch == 2.5
