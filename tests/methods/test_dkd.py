"""Decoupled soft targets on numbers: golden values and what the formula promises."""

import pytest
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
from pydantic import ValidationError

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.dkd import DKD, dkd_loss
from kdcli.methods.kd import kd_loss

ANSWERS = Outputs("student", STUDENT_LOGITS)


@pytest.mark.parametrize(
    ("alpha", "beta", "golden"),
    [(1, 8, 35.8199979522), (1, 0, 1.3642942288), (0, 1, 4.3069629654)],
)
def test_check_values(alpha, beta, golden):
    found = dkd_loss(STUDENT_LOGITS, TEACHER_LOGITS, LABELS, alpha, beta, 4.0)
    assert abs(float(found) - golden) < TOLERANCE


def test_check_value_of_standardized_logits():
    found = dkd_loss(STUDENT_LOGITS, TEACHER_LOGITS, LABELS, 1, 8, 2.0, standardize=True)
    assert abs(float(found) - 4.7752790276) < TOLERANCE


def test_defaults_and_options_reach_the_loss():
    teacher, batch = Outputs("teacher.0", TEACHER_LOGITS), batch_of(LABELS)
    found = DKD().loss(ANSWERS, teacher, batch, None)
    assert abs(float(found) - 35.8199979522) < TOLERANCE
    standardized = DKD(temperature=2.0, standardize=True).loss(ANSWERS, teacher, batch, None)
    assert abs(float(standardized) - 4.7752790276) < TOLERANCE
    label_only = DKD(beta=0.0, alpha=2.0).loss(ANSWERS, teacher, batch, None)
    assert abs(float(label_only) - 2 * 1.3642942288) < TOLERANCE


@pytest.mark.parametrize("standardize", [False, True])
def test_gradient_agrees_with_finite_differences(standardize):
    assert agrees_with_finite_differences(
        lambda student: dkd_loss(student, TEACHER_LOGITS, LABELS, 1, 8, 4.0, standardize),
        STUDENT_LOGITS,
    )


def test_nothing_to_learn_from_oneself():
    def loss(student):
        return dkd_loss(student, TEACHER_LOGITS, LABELS, 1, 8, 4.0)

    assert abs(float(loss(TEACHER_LOGITS))) < 1e-12
    assert float(gradient(loss, TEACHER_LOGITS).abs().max()) < 1e-12


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_weighted_by_what_the_teacher_leaves_the_parts_sum_to_soft_targets(temperature):
    for row in range(4):
        mine, theirs, label = (t[row : row + 1] for t in (STUDENT_LOGITS, TEACHER_LOGITS, LABELS))
        left = 1 - float((theirs / temperature).softmax(1)[0, label])
        both = dkd_loss(mine, theirs, label, 1.0, left, temperature)
        torch.testing.assert_close(both, kd_loss(mine, theirs, temperature))


def test_a_constant_per_row_changes_nothing():
    shift = torch.tensor([[1.0], [-20.0], [300.0], [0.5]], dtype=torch.float64)
    same = dkd_loss(STUDENT_LOGITS + shift, TEACHER_LOGITS - shift, LABELS, 1, 8, 4.0)
    torch.testing.assert_close(same, dkd_loss(STUDENT_LOGITS, TEACHER_LOGITS, LABELS, 1, 8, 4.0))


@pytest.mark.parametrize("label", [0, 1, 2])
def test_where_probabilities_underflow_nothing_breaks(label):
    student = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    teacher = torch.tensor([[-1e4, 0.0, 1e4]])
    loss = dkd_loss(student, teacher, torch.tensor([label]), 1, 8, 1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


def test_two_classes_are_refused_with_the_reason():
    with pytest.raises(UnmetNeeds, match="of two classes only one is left") as caught:
        DKD().check(ANSWERS, ANSWERS, About(2, 4, 1))
    assert caught.value.fix.startswith("kd")
    DKD().check(ANSWERS, ANSWERS, About(3, 4, 1, labels=torch.tensor([0, 1, 2])))


def test_unknown_labels_are_refused():
    with pytest.raises(UnmetNeeds, match="some are unknown"):
        DKD().check(ANSWERS, ANSWERS, About(3, 4, 1, labels=torch.tensor([0, -1, 2])))


@pytest.mark.parametrize("options", [{"alpha": -1}, {"beta": -1}, {"temperature": 0}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        DKD(**options)
