"""Logits against logits, on numbers."""

import torch
from check_values import (
    LABELS,
    STUDENT_LOGITS,
    TEACHER_LOGITS,
    TOLERANCE,
    agrees_with_finite_differences,
    batch_of,
    gradient,
)

from kdcli.core.records import Outputs
from kdcli.methods.kd import kd_loss
from kdcli.methods.kd_mse import KDMSE, kd_mse_loss


def test_check_value():
    assert abs(float(kd_mse_loss(STUDENT_LOGITS, TEACHER_LOGITS)) - 10.9386532090) < TOLERANCE


def test_the_method_scores_the_logits_of_the_pair():
    student, teacher = Outputs("student", STUDENT_LOGITS), Outputs("teacher.0", TEACHER_LOGITS)
    found = KDMSE().loss(student, teacher, batch_of(LABELS), None)
    assert torch.equal(found, kd_mse_loss(STUDENT_LOGITS, TEACHER_LOGITS))


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: kd_mse_loss(student, TEACHER_LOGITS), STUDENT_LOGITS
    )


def test_nothing_to_learn_from_oneself():
    assert float(kd_mse_loss(TEACHER_LOGITS, TEACHER_LOGITS)) == 0
    found = gradient(lambda student: kd_mse_loss(student, TEACHER_LOGITS), TEACHER_LOGITS)
    assert float(found.abs().max()) == 0


def test_of_centred_logits_the_gradient_is_twice_that_of_soft_targets_at_a_high_temperature():
    student = STUDENT_LOGITS - STUDENT_LOGITS.mean(1, keepdim=True)
    teacher = TEACHER_LOGITS - TEACHER_LOGITS.mean(1, keepdim=True)
    of_logits = gradient(lambda z: kd_mse_loss(z, teacher), student)
    of_softened = gradient(lambda z: kd_loss(z, teacher, 1e4), student)
    torch.testing.assert_close(of_logits, 2 * of_softened, atol=1e-4, rtol=0)


def test_the_mean_of_the_logits_counts():
    moved = kd_mse_loss(TEACHER_LOGITS + 2, TEACHER_LOGITS)
    torch.testing.assert_close(moved, torch.tensor(4.0, dtype=torch.float64))
