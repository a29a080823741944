"""Correlation congruence on numbers."""

import pytest
import torch
from check_values import (
    STUDENT_EMBEDDING,
    TEACHER_EMBEDDING,
    TOLERANCE,
    WIDE_TEACHER_EMBEDDING,
    agrees_with_finite_differences,
    gradient,
)

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.cc import CC, WIDTH, cc_loss

ABOUT = About(num_classes=3, num_samples=4, steps_per_epoch=1)


@pytest.fixture
def pair():
    student = Outputs("student", torch.zeros(4, 3), embedding=STUDENT_EMBEDDING)
    teacher = Outputs("teacher.0", torch.zeros(4, 3), embedding=WIDE_TEACHER_EMBEDDING)
    return student, teacher


def test_check_value():
    found = cc_loss(STUDENT_EMBEDDING, TEACHER_EMBEDDING)
    assert abs(float(found) - 0.5516461160) < TOLERANCE


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: cc_loss(student, TEACHER_EMBEDDING), STUDENT_EMBEDDING
    )


def test_nothing_to_learn_from_oneself():
    assert float(cc_loss(TEACHER_EMBEDDING, TEACHER_EMBEDDING)) == 0
    found = gradient(lambda student: cc_loss(student, TEACHER_EMBEDDING), TEACHER_EMBEDDING)
    assert found.abs().max() == 0


def test_only_neighbours_that_both_deviate_cost():
    away = torch.zeros(4, 2)
    away[0] = 1
    away[2] = 1
    assert float(cc_loss(away, torch.zeros(4, 2))) == 0
    away[1] = -1
    assert float(cc_loss(away, torch.zeros(4, 2))) == pytest.approx(4 / 3)


def test_both_linear_layers_learn(pair):
    adapter = CC().adapter(*pair, ABOUT).double()
    shapes = {tuple(parameter.shape) for parameter in adapter.parameters()}
    assert shapes == {(WIDTH, 5), (WIDTH, 7), (WIDTH,)}
    loss = CC().loss(*pair, None, adapter)
    torch.testing.assert_close(loss, cc_loss(*adapter(pair[0].embedding, pair[1].embedding)))
    loss.backward()
    assert all(float(p.grad.abs().max()) > 0 for p in adapter.parameters())


def test_images_that_come_one_by_one_are_refused(pair):
    with pytest.raises(UnmetNeeds, match="one by one"):
        CC().check(*pair, About(3, 2, 1, smallest_batch=1))
