"""Attention transfer on numbers."""

import pytest
import torch
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_MAP,
    TEACHER_MAP,
    TOLERANCE,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
    gradient,
)

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.at import AT, at_loss


@pytest.mark.parametrize(
    ("student", "golden"), [(STUDENT_MAP, 0.0018652388), (FINE_STUDENT_MAP, 0.0007073219)]
)
def test_check_values(student, golden):
    assert abs(float(at_loss(student, WIDE_TEACHER_MAP)) - golden) < TOLERANCE


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: at_loss(student, WIDE_TEACHER_MAP), STUDENT_MAP
    )


def test_nothing_to_learn_from_oneself():
    assert float(at_loss(TEACHER_MAP, TEACHER_MAP)) == 0
    assert gradient(lambda student: at_loss(student, TEACHER_MAP), TEACHER_MAP).abs().max() == 0


def test_says_where_not_how_much():
    torch.testing.assert_close(
        at_loss(3.5 * STUDENT_MAP, WIDE_TEACHER_MAP), at_loss(STUDENT_MAP, WIDE_TEACHER_MAP)
    )


def test_maps_of_one_cell_are_refused():
    one = Outputs("student", torch.zeros(2, 3), features=(torch.ones(2, 4, 1, 1),))
    with pytest.raises(UnmetNeeds, match="1 x 1"):
        AT().check(one, one, About(3, 2, 1))
