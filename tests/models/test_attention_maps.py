"""Where a model looks: maps, how far they agree, whether they are flat."""

import pytest
import torch

from kdcli.models.attention_maps import (
    attention,
    correlation,
    correlation_of_layers,
    energy,
    flatness,
    spatial,
)

MAPS = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))


def test_from_the_lowest_to_the_highest_of_each_image():
    found = attention(MAPS * torch.tensor([1.0, 10, 100]).view(3, 1, 1))
    torch.testing.assert_close(found, attention(MAPS))
    assert found.amin((1, 2)).tolist() == [0.5] * 3
    torch.testing.assert_close(found.amax((1, 2)), torch.sigmoid(torch.ones(3)))
    assert (attention(torch.full((1, 2, 2), 7.0)) == 0.5).all()


def test_signs_make_no_difference():
    signed = torch.randn(2, 5, 4, 4)
    assert torch.equal(energy(signed), energy(signed.abs()))
    assert energy(signed).shape == (2, 4, 4)


def test_the_last_stages_of_more_than_one_cell():
    stages = [torch.zeros(1, 2, n, n) for n in (8, 4, 2, 1)]
    assert [s.shape[2] for s in spatial(stages, 2)] == [4, 2]
    assert [s.shape[2] for s in spatial(stages, 9)] == [8, 4, 2]
    assert spatial(stages[-1:], 3) == ()


def test_correlation_says_where_not_how_much():
    torch.testing.assert_close(correlation(MAPS, 3 * MAPS + 1), torch.ones(3))
    torch.testing.assert_close(correlation(MAPS, -MAPS), -torch.ones(3))
    flat = torch.full((3, 7, 7), 0.3)
    torch.testing.assert_close(correlation(flat, flat), torch.zeros(3))


def test_layers_that_look_at_the_same_agree():
    coarse = torch.rand(3, 2, 2)
    finer = torch.nn.functional.interpolate(coarse[:, None], (4, 4), mode="bilinear")[:, 0]
    torch.testing.assert_close(correlation_of_layers([coarse, finer, 2 * finer]), torch.ones(3))
    assert correlation_of_layers([coarse]) is None


@pytest.mark.parametrize(
    ("cells", "share"),
    [([1, 1, 1, 1], 1), ([0, 0, 0, 0], 1), ([0, 5, 0, 0], 0), ([3, 3, 0, 0], 0.5)],
)
def test_flatness_is_a_share_of_the_largest_entropy(cells, share):
    found = flatness(torch.tensor(cells, dtype=torch.float32).view(1, 2, 2))
    assert found.item() == pytest.approx(share, abs=1e-6)
