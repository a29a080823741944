"""Mixed images, each by its own share; nothing else is touched."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from kdcli.data.mixup import drawn, mixed

N, HEIGHT, WIDTH = 400, 17, 11
VIEW, INDEX = np.full(N, 5), np.arange(N)


def images(seed: int) -> Tensor:
    return torch.rand((N, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(seed))


ONE, OTHER = images(0), images(1)


def test_mixup_blends_by_the_share() -> None:
    new, share = mixed(ONE, OTHER, drawn(0.8, 0.0, VIEW, INDEX))
    part = share[:, None, None, None]
    assert torch.allclose(new, part * ONE + (1 - part) * OTHER, atol=1e-6)
    assert ((share > 0) & (share < 1)).all()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    share = drawn(alpha, 0.0, VIEW, INDEX).share
    spread = 1 / (4 * (2 * alpha + 1))  # its variance
    assert share.mean() == pytest.approx(0.5, abs=0.05)
    assert share.var() == pytest.approx(spread, rel=0.15)


def test_cutmix_pastes_a_box_as_large_as_the_share_that_moved() -> None:
    new, share = mixed(ONE, OTHER, drawn(0.0, 1.0, VIEW, INDEX))
    pasted = (new == OTHER).all(1)
    assert torch.equal(pasted | (new == ONE).all(1), torch.ones(N, HEIGHT, WIDTH) > 0)
    assert pasted.float().mean((1, 2)).numpy() == pytest.approx(1 - share, abs=1e-5)
    boxes = pasted.any(2).sum(1) * pasted.any(1).sum(1)
    assert torch.equal(boxes, pasted.sum((1, 2)))
    # as wide and high as the root of what moves, where it does not reach over the edge
    whole = pasted[:, 1:-1, 1:-1].sum((1, 2)) == boxes
    wanted = torch.from_numpy(drawn(0.0, 1.0, VIEW, INDEX).share)[whole]
    sides = 2 * ((1 - wanted).sqrt() * WIDTH / 2).floor()
    assert ((pasted[whole].any(1).sum(1) - sides).abs() <= 1).all()


def test_both_toss_a_coin_for_each() -> None:
    pasted = drawn(1.0, 1.0, VIEW, INDEX).pasted
    assert 0.4 < pasted.mean() < 0.6
    new, _ = mixed(ONE, OTHER, drawn(1.0, 1.0, VIEW, INDEX))
    alone, _ = mixed(ONE[7:8], OTHER[7:8], drawn(1.0, 1.0, VIEW[7:8], INDEX[7:8]))
    assert torch.equal(new[7:8], alone)


def test_what_was_given_stays_and_views_differ() -> None:
    mixed(ONE, OTHER, drawn(0.8, 1.0, VIEW, INDEX))
    assert torch.equal(ONE, images(0))
    assert not np.array_equal(
        drawn(0.8, 0.0, VIEW, INDEX).share, drawn(0.8, 0.0, VIEW + 1, INDEX).share
    )


def test_the_global_generators_are_left_alone() -> None:
    np.random.seed(1)
    random.seed(1)
    expected = np.random.RandomState(1).rand(), random.Random(1).random()
    drawn(1.0, 1.0, VIEW, INDEX)
    assert (np.random.rand(), random.random()) == expected
