"""The distillation token on numbers."""

import pytest
import torch
from check_values import LABELS, STUDENT_LOGITS, TEACHER_LOGITS, TOLERANCE, batch_of
from pydantic import ValidationError

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.deit import DeiT

CROSS_ENTROPY = 2.9630983303
TEACHER = Outputs("teacher.0", TEACHER_LOGITS)


def student(heads=None):
    second = STUDENT_LOGITS.flip(1)
    both = torch.stack([STUDENT_LOGITS, second], 1) if heads is None else heads
    return Outputs("student", STUDENT_LOGITS, heads=both)


def loss(**options):
    return DeiT(**options).loss(student(), TEACHER, batch_of(LABELS), None)


def test_check_value_of_hard_labels():
    assert abs(0.5 * CROSS_ENTROPY + 0.5 * float(loss()) - 3.3199579900) < TOLERANCE


def test_check_value_of_soft_targets():
    """The authors divide by images x classes."""
    elementwise = float(loss(target="soft", temperature=3.0)) / 6
    assert abs(0.5 * CROSS_ENTROPY + 0.5 * elementwise - 1.9663738362) < TOLERANCE
    assert float(loss(target="soft")) == float(loss(target="soft", temperature=3.0))
    assert float(loss(target="soft")) != float(loss(target="soft", temperature=1.0))


@pytest.mark.parametrize("target", ["hard", "soft"])
def test_only_the_second_head_is_taught(target):
    heads = torch.stack([STUDENT_LOGITS, STUDENT_LOGITS.flip(1)], 1).requires_grad_()
    DeiT(target=target).loss(student(heads), TEACHER, batch_of(LABELS), None).backward()
    assert float(heads.grad[:, 0].abs().max()) == 0
    assert float(heads.grad[:, 1].abs().max()) > 0


@pytest.mark.parametrize("heads", [1, 3])
def test_another_number_of_heads_is_refused(heads):
    with pytest.raises(UnmetNeeds, match=f"this student has {heads}"):
        DeiT().check(student(torch.zeros(4, heads, 6)), TEACHER, About(6, 4, 1))
    DeiT().check(student(), TEACHER, About(6, 4, 1))


def test_there_are_two_kinds_of_targets():
    with pytest.raises(ValidationError):
        DeiT(target="firm")
