"""The teacher's choice as a label, on numbers."""

import torch
from check_values import (
    LABELS,
    STUDENT_LOGITS,
    TEACHER_LOGITS,
    TOLERANCE,
    agrees_with_finite_differences,
    batch_of,
)

from kdcli.core.records import Outputs
from kdcli.methods.kd_hard import KDHard, kd_hard_loss

CROSS_ENTROPY = 2.9630983303  # of the student with LABELS
DISTILLED_HARD = 3.3199579900  # half of it, and half that of the flipped student with the teacher


def test_check_value():
    loss = kd_hard_loss(STUDENT_LOGITS.flip(1), TEACHER_LOGITS)
    assert abs(0.5 * CROSS_ENTROPY + 0.5 * float(loss) - DISTILLED_HARD) < TOLERANCE


def test_a_teacher_who_is_always_right_is_the_labels_loss():
    teacher = torch.nn.functional.one_hot(LABELS, 6).double()
    assert abs(float(kd_hard_loss(STUDENT_LOGITS, teacher)) - CROSS_ENTROPY) < TOLERANCE


def test_the_method_reads_the_teacher_and_no_label():
    student, teacher = Outputs("student", STUDENT_LOGITS), Outputs("teacher.0", TEACHER_LOGITS)
    found = KDHard().loss(student, teacher, batch_of(torch.full((4,), -1)), None)
    assert torch.equal(found, kd_hard_loss(STUDENT_LOGITS, TEACHER_LOGITS))


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: kd_hard_loss(student, TEACHER_LOGITS), STUDENT_LOGITS
    )


def test_how_sure_the_teacher_is_does_not_count():
    same = kd_hard_loss(STUDENT_LOGITS, 100 * TEACHER_LOGITS + 7)
    assert torch.equal(same, kd_hard_loss(STUDENT_LOGITS, TEACHER_LOGITS))
