"""Correlations on numbers: golden values and what does not change them."""

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

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.dist import DIST, correlation, dist_loss

ANSWERS = Outputs("student", STUDENT_LOGITS)


@pytest.mark.parametrize(("temperature", "golden"), [(1.0, 1.6807793003), (4.0, 22.8056251228)])
def test_check_values(temperature, golden):
    found = dist_loss(STUDENT_LOGITS, TEACHER_LOGITS, 1, 1, temperature)
    assert abs(float(found) - golden) < TOLERANCE


def test_defaults_and_options_reach_the_loss():
    def loss(**options):
        teacher = Outputs("teacher.0", TEACHER_LOGITS)
        return DIST(**options).loss(ANSWERS, teacher, batch_of(LABELS), None)

    assert abs(float(loss()) - 22.8056251228) < TOLERANCE
    parts = loss(gamma=0.0), loss(beta=0.0)
    assert abs(float(parts[0] - parts[1])) > 1e-3
    torch.testing.assert_close(loss(beta=2.0, gamma=3.0), 2 * parts[0] + 3 * parts[1])
    assert abs(float(loss(temperature=1.0)) - 1.6807793003) < TOLERANCE


def test_beta_compares_within_each_image_gamma_across_them():
    def loss(rows, beta, gamma):
        mine, theirs = Outputs("student", STUDENT_LOGITS[rows]), TEACHER_LOGITS[rows]
        method = DIST(beta=beta, gamma=gamma)
        return method.loss(mine, Outputs("teacher.0", theirs), batch_of(LABELS[rows]), None)

    one_by_one = torch.stack([loss([row], 1.0, 0.0) for row in range(4)]).mean()
    torch.testing.assert_close(loss([0, 1, 2, 3], 1.0, 0.0), one_by_one)
    of_one_image = loss([0], 0.0, 1.0)  # nothing varies across it
    assert float(of_one_image) == 16


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: dist_loss(student, TEACHER_LOGITS, 1, 1, 4.0), STUDENT_LOGITS
    )


def test_nothing_to_learn_from_oneself():
    def loss(student):
        return dist_loss(student, TEACHER_LOGITS, 1, 1, 1.0)

    assert abs(float(loss(TEACHER_LOGITS))) < 1e-6  # 1e-8 is added to the norms
    assert float(gradient(loss, TEACHER_LOGITS).abs().max()) < 1e-6


def test_a_constant_per_row_changes_nothing():
    shift = torch.tensor([[1.0], [-20.0], [300.0], [0.5]], dtype=torch.float64)
    same = dist_loss(STUDENT_LOGITS + shift, TEACHER_LOGITS - shift, 1, 1, 4.0)
    torch.testing.assert_close(same, dist_loss(STUDENT_LOGITS, TEACHER_LOGITS, 1, 1, 4.0))


def test_correlation_is_pearsons():
    found = correlation(STUDENT_LOGITS, TEACHER_LOGITS)
    pairs = zip(STUDENT_LOGITS, TEACHER_LOGITS, strict=True)
    expected = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(correlation(3 * STUDENT_LOGITS - 5, TEACHER_LOGITS), expected)


def test_images_that_are_all_alike_give_no_nan():
    student = torch.ones(3, 4, requires_grad=True)
    loss = dist_loss(student, TEACHER_LOGITS[:3, :4].float(), 1, 1, 4.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


def test_single_images_are_refused():
    with pytest.raises(UnmetNeeds, match="compares images of a batch"):
        DIST().check(ANSWERS, ANSWERS, About(6, 4, 1, smallest_batch=1))
    DIST().check(ANSWERS, ANSWERS, About(6, 4, 1, smallest_batch=2))
