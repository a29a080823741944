"""Factor transfer, lite, on numbers."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_MAP,
    TEACHER_MAP,
    TOLERANCE,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
    gradient,
)
from feature_pairs import ABOUT, outputs, score

from kdcli.core.errors import UnmetNeeds
from kdcli.methods.ft import FT, ft_loss


def test_check_value():
    assert abs(float(ft_loss(STUDENT_MAP, WIDE_TEACHER_MAP)) - 0.0348958888) < TOLERANCE


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: ft_loss(student, WIDE_TEACHER_MAP), STUDENT_MAP
    )


def test_nothing_to_learn_from_oneself():
    assert float(ft_loss(TEACHER_MAP, TEACHER_MAP)) == 0
    assert gradient(lambda student: ft_loss(student, TEACHER_MAP), TEACHER_MAP).abs().max() == 0


def test_says_where_not_how_much():
    torch.testing.assert_close(
        ft_loss(3.5 * STUDENT_MAP, WIDE_TEACHER_MAP), ft_loss(STUDENT_MAP, WIDE_TEACHER_MAP)
    )


def test_the_larger_grid_is_averaged_down():
    coarse = F.adaptive_avg_pool2d(FINE_STUDENT_MAP, 6)
    torch.testing.assert_close(
        ft_loss(FINE_STUDENT_MAP, WIDE_TEACHER_MAP), ft_loss(coarse, WIDE_TEACHER_MAP)
    )


def test_stages_are_summed_less_those_of_one_cell():
    one = torch.ones(4, 3, 1, 1, dtype=torch.float64)
    student, teacher = (STUDENT_MAP, STUDENT_MAP, one), (WIDE_TEACHER_MAP, TEACHER_MAP, -one)
    expected = ft_loss(STUDENT_MAP, WIDE_TEACHER_MAP) + ft_loss(STUDENT_MAP, TEACHER_MAP)
    torch.testing.assert_close(score(FT(), outputs(*student), outputs(*teacher)), expected)


def test_maps_of_one_cell_are_refused():
    one = outputs(torch.ones(2, 4, 1, 1))
    with pytest.raises(UnmetNeeds, match="1 x 1"):
        FT().check(one, one, ABOUT)
