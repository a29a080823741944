"""Similarity-preserving distillation on numbers."""

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
from kdcli.methods.sp import SP, sp_loss


def test_check_value():
    assert abs(float(sp_loss(STUDENT_MAP, WIDE_TEACHER_MAP)) - 0.1120860562) < TOLERANCE


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: sp_loss(student, WIDE_TEACHER_MAP), STUDENT_MAP
    )


def test_nothing_to_learn_from_oneself():
    assert float(sp_loss(TEACHER_MAP, TEACHER_MAP)) == 0
    assert gradient(lambda student: sp_loss(student, TEACHER_MAP), TEACHER_MAP).abs().max() == 0


def test_only_relations_count():
    expected = sp_loss(STUDENT_MAP, WIDE_TEACHER_MAP)
    torch.testing.assert_close(sp_loss(-3.5 * STUDENT_MAP, WIDE_TEACHER_MAP), expected)
    torch.testing.assert_close(sp_loss(STUDENT_MAP.flip(1, 3), WIDE_TEACHER_MAP), expected)
    other = sp_loss(STUDENT_MAP[[1, 0, 2, 3]], WIDE_TEACHER_MAP)
    assert abs(float(other - expected)) > 1e-4


def test_grids_may_differ():
    assert torch.isfinite(sp_loss(FINE_STUDENT_MAP, WIDE_TEACHER_MAP))


def test_the_last_feature_is_read():
    def outputs(last):
        return Outputs("x", torch.zeros(4, 3), features=(torch.rand(4, 2, 9, 9), last))

    student, teacher = outputs(STUDENT_MAP), outputs(WIDE_TEACHER_MAP)
    found = SP().loss(student, teacher, None, None)
    torch.testing.assert_close(found, sp_loss(STUDENT_MAP, WIDE_TEACHER_MAP))


def test_dead_maps_give_finite_gradients():
    found = gradient(lambda student: sp_loss(student, TEACHER_MAP), torch.zeros_like(TEACHER_MAP))
    assert torch.isfinite(found).all()


def test_images_that_come_one_by_one_are_refused():
    one = Outputs("student", torch.zeros(1, 3), features=(torch.ones(1, 4, 2, 2),))
    with pytest.raises(UnmetNeeds, match="one by one"):
        SP().check(one, one, About(3, 2, 1, smallest_batch=1))
    SP().check(one, one, About(3, 2, 1, smallest_batch=2))
