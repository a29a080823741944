"""The flow between layers on numbers."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_MAP,
    TEACHER_MAP,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
    gradient,
)
from feature_pairs import ABOUT, ONE_BY_ONE, built, outputs, score
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.methods.fsp import FSP, flow, fsp_loss

COARSE = F.adaptive_avg_pool2d(WIDE_TEACHER_MAP, 3)
TEACHER_MAPS = (TEACHER_MAP, WIDE_TEACHER_MAP, COARSE)
STUDENT_MAPS = (STUDENT_MAP, WIDE_TEACHER_MAP.flip(2), COARSE.flip(1))


def test_a_flow_is_the_mean_product_of_channels():
    expected = torch.einsum("nchw,ndhw->ncd", TEACHER_MAP, WIDE_TEACHER_MAP) / 36
    torch.testing.assert_close(flow(TEACHER_MAP, WIDE_TEACHER_MAP), expected)
    twos, threes = torch.full((1, 2, 4, 4), 2.0), torch.full((1, 5, 2, 2), 3.0)
    torch.testing.assert_close(flow(twos, threes), torch.full((1, 2, 5), 6.0))


def test_the_larger_of_two_stages_is_averaged_down():
    down = F.adaptive_avg_pool2d(TEACHER_MAP, 3)
    torch.testing.assert_close(flow(TEACHER_MAP, COARSE), flow(down, COARSE))
    torch.testing.assert_close(flow(COARSE, TEACHER_MAP), flow(COARSE, down))


def test_consecutive_stages_are_summed():
    def between(i):
        mine, theirs = flow(*STUDENT_MAPS[i : i + 2]), flow(*TEACHER_MAPS[i : i + 2])
        return (mine - theirs).square().mean()

    torch.testing.assert_close(fsp_loss(STUDENT_MAPS, TEACHER_MAPS), between(0) + between(1))


@pytest.mark.parametrize("grid", [2, 6])
def test_few_cells_or_many_the_value_is_that_of_the_flows(grid):
    """Of few cells the flows themselves are never made."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(3, 5, grid, grid, generator=generator).double() for _ in range(4)]
    student, teacher = (maps[0], maps[1].repeat(1, 2, 1, 1)), (maps[2], maps[3].repeat(1, 2, 1, 1))
    expected = F.mse_loss(flow(*student), flow(*teacher))
    torch.testing.assert_close(fsp_loss(student, teacher), expected)


def test_gradient_agrees_with_finite_differences():
    def loss(student):
        return fsp_loss((student, WIDE_TEACHER_MAP), (TEACHER_MAP, WIDE_TEACHER_MAP))

    assert agrees_with_finite_differences(loss, STUDENT_MAP)


def test_nothing_to_learn_from_oneself():
    def loss(student):
        return score(FSP(), outputs(student, COARSE), outputs(TEACHER_MAP, COARSE))

    assert float(loss(TEACHER_MAP)) == 0
    assert gradient(loss, TEACHER_MAP).abs().max() == 0


def test_where_a_cell_lies_does_not_matter():
    maps = (STUDENT_MAP, WIDE_TEACHER_MAP)
    turned = tuple(m.flip(3) for m in maps)
    teacher = (TEACHER_MAP, WIDE_TEACHER_MAP)
    torch.testing.assert_close(fsp_loss(turned, teacher), fsp_loss(maps, teacher))


def test_other_channels_and_grids_are_adapted():
    student = outputs(FINE_STUDENT_MAP, STUDENT_MAP)
    teacher = outputs(TEACHER_MAP, COARSE.relu())
    adapter = built(FSP(), student, teacher)
    assert [isinstance(m.activation, nn.ReLU) for m in adapter] == [False, True]
    loss = score(FSP(), student, teacher, adapter)
    loss.backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in adapter.parameters())
    mine = (
        adapter[0](F.adaptive_avg_pool2d(FINE_STUDENT_MAP, 6)),
        adapter[1](F.adaptive_avg_pool2d(STUDENT_MAP, 3)),
    )
    torch.testing.assert_close(loss, fsp_loss(mine, teacher.features))


def test_one_stage_is_refused():
    with pytest.raises(UnmetNeeds, match="consecutive stages"):
        FSP().check(outputs(STUDENT_MAP), outputs(TEACHER_MAP), ABOUT)


def test_single_images_of_one_cell_are_refused():
    one = outputs(STUDENT_MAP, STUDENT_MAP[..., :1, :1])
    with pytest.raises(UnmetNeeds, match="one image of one cell"):
        FSP().check(one, one, ONE_BY_ONE)
