"""Batches are pure functions of (seed, epoch, number), whoever makes them."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_stores import SIZE, same, store, training
from torch import Tensor

from kdcli.core.arrays import Indices
from kdcli.core.errors import DataError
from kdcli.core.openmp import usable_cores
from kdcli.core.records import Batch
from kdcli.data.loader import (
    Batching,
    plain_batches,
    steps_per_epoch,
    training_batches,
    view_batches,
)
from kdcli.data.packed_batches import smooth
from kdcli.data.store import InMemory, Labelled, Store


class Counted:
    """A store that remembers how many images it was asked for."""

    def __init__(self, store: Store) -> None:
        self.store, self.labels, self.workers = store, store.labels, 0
        self.fetched: list[int] = []

    def __len__(self) -> int:
        return len(self.store)

    def fetch(self, index: Indices) -> Tensor:
        self.fetched.append(len(index))
        return self.store.fetch(index)


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
    assert store("on demand").workers == usable_cores()


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


MIXES = [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}]


def by_image(batches: list[Batch]) -> dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]]:
    """Image, target and label of each (view, index)."""
    return {
        (int(view), int(index)): (image, target, label)
        for batch in batches
        for view, index, image, target, label in zip(
            batch.view, batch.index, batch.images, batch.targets, batch.labels, strict=True
        )
    }


def equal(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("mix", [{}, *MIXES, {"randaugment": "rand-m9"}])
@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_an_image_is_a_function_of_its_view_and_place(mix: dict[str, float], balance: str) -> None:
    """Whatever the seed, the batch and its size: a teacher's answer to it can be kept."""
    of = store()
    asked = by_image(training(of, batch_size=5, balance=balance, **mix))
    shown = by_image(training(of, batch_size=3, balance=balance, seed=8, workers=1, **mix))
    how = Batching(num_classes=3, batch_size=9, augment="shift", label_smoothing=0.1, **mix)
    views = {view for view, _ in {*asked, *shown}}
    if balance == "sampler":  # its partners are of any class with the same chance
        how = replace(how, balance=balance)
    alone = by_image([b for view in views for b in view_batches(of, how, view, np.arange(21))])
    assert len(asked.keys() & shown.keys()) > 12
    for found in (asked, shown):
        assert all(equal(found[one], alone[one]) for one in found)


def test_pairs_stay_together_so_that_no_image_is_loaded_twice() -> None:
    of = Counted(store(n=200))
    training(of, batch_size=10, mixup=1.0)
    assert 200 <= sum(of.fetched) <= 220  # a batch may end between two of them
    assert len(training(of, batch_size=11, mixup=1.0)) == steps_per_epoch(200, 11)


def test_an_odd_one_is_mixed_too() -> None:
    (batch,) = training(store(n=3), batch_size=64, cutmix=1.0)
    assert sorted(batch.index.tolist()) == [0, 1, 2]


def test_with_a_sampler_partners_are_of_every_class_alike() -> None:
    of = InMemory(torch.zeros((60, 3, 8, 8), dtype=torch.uint8), np.array([0] * 50 + [1] * 10))
    epochs = [
        training(of, epoch=epoch, batch_size=20, balance="sampler", mixup=1.0, epochs=20)
        for epoch in range(20)
    ]
    targets = torch.cat([batch.targets for batches in epochs for batch in batches]).mean(0)
    assert abs(float(targets[0] - targets[1])) < 0.06


def test_epochs_go_round_the_views() -> None:
    of = store()
    epochs = [by_image(training(of, epoch=epoch, views=2)) for epoch in range(4)]
    assert [{view for view, _ in one} for one in epochs] == [{0}, {1}, {0}, {1}]
    for one in epochs[0].keys() & epochs[2].keys():
        assert equal(epochs[0][one], epochs[2][one])


def test_one_training_is_one_stream_of_batches() -> None:
    """Workers live on from epoch to epoch."""
    of = store()
    how = Batching(num_classes=3, batch_size=4, epochs=3, augment="shift")
    epochs = [training(of, epoch=e, epochs=3, label_smoothing=0.0) for e in range(3)]
    for workers in (0, 2):
        whole = list(training_batches(of, how, 0, workers))
        assert same(whole, [batch for batches in epochs for batch in batches])


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
    assert torch.equal(targets[1], torch.zeros(4)), "who is unknown is asked for nothing"


@pytest.mark.parametrize("workers", [0, 1])
def test_plain_batches_are_all_images_in_order(workers: int) -> None:
    of = store()
    batches = list(plain_batches(of, num_classes=3, batch_size=8, workers=workers))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(21))
    assert torch.equal(batches[2].images, of.fetch(np.arange(16, 21)).float() / 255)
    assert {batch.progress for batch in batches} == {0.0}


@pytest.mark.parametrize(("share", "of_a_batch"), [(0.5, 2), (0.75, 3), (0.01, 1), (0.99, 3)])
def test_a_batch_has_images_with_labels_and_without(share: float, of_a_batch: int) -> None:
    """Each kind is passed through on its own, all of it before any of it again; of six there are
    labels, of fifteen none."""
    of = Labelled(store(), np.where(np.arange(21) % 7 < 2, np.arange(21) % 3, -1))
    how = {"labelled_share": share, "samples_per_epoch": 6}
    epochs = [training(of, epoch=epoch, **how) for epoch in range(30)]
    assert [len(batches) for batches in epochs] == [1] * 30
    batches = [batch for one in epochs for batch in one]
    known = torch.stack([batch.labels >= 0 for batch in batches])
    assert (known.sum(1) == of_a_batch).all()
    for kind, images in ((known, 6), (~known, 15)):
        index, view = (
            torch.stack([getattr(batch, name) for batch in batches])[kind]
            for name in ("index", "view")
        )
        first = index[: len(index) // images * images].reshape(-1, images)
        assert all(len(set(one)) == images for one in first.tolist())
        assert view.tolist() == [place // images for place in range(len(view))]


def test_an_epoch_may_be_a_part_of_a_pass() -> None:
    of = store()
    epochs = [training(of, epoch=epoch, samples_per_epoch=9) for epoch in range(6)]
    assert [len(batches) for batches in epochs] == [steps_per_epoch(9, 4)] * 6
    seen = torch.cat([batch.index for batches in epochs for batch in batches])
    views = torch.cat([batch.view for batches in epochs for batch in batches])
    assert sorted(seen[:21].tolist()) == sorted(seen[21:42].tolist()) == list(range(21))
    assert views.tolist() == [0] * 21 + [1] * 21 + [2] * 6
    assert epochs[2][1].epoch == 2.5
