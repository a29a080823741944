"""Probabilistic knowledge transfer on numbers."""

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
from kdcli.methods.pkt import PKT, pkt_loss


def test_check_value():
    found = pkt_loss(STUDENT_EMBEDDING, WIDE_TEACHER_EMBEDDING)
    assert abs(float(found) - 0.0347005226) < TOLERANCE


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: pkt_loss(student, WIDE_TEACHER_EMBEDDING), STUDENT_EMBEDDING
    )


def test_nothing_to_learn_from_oneself():
    assert float(pkt_loss(TEACHER_EMBEDDING, TEACHER_EMBEDDING)) == 0
    found = gradient(lambda student: pkt_loss(student, TEACHER_EMBEDDING), TEACHER_EMBEDDING)
    assert found.abs().max() < 1e-7  # the 1e-7 beside the probabilities moves the minimum


def test_only_directions_count():
    lengths = torch.tensor([[0.5], [2.0], [30.0], [1.0]], dtype=torch.float64)
    torch.testing.assert_close(
        pkt_loss(lengths * STUDENT_EMBEDDING, WIDE_TEACHER_EMBEDDING),
        pkt_loss(STUDENT_EMBEDDING, WIDE_TEACHER_EMBEDDING),
        rtol=1e-5,  # the 1e-7 beside the lengths
        atol=0,
    )


def test_the_teacher_weighs_its_own_neighbours():
    there = pkt_loss(STUDENT_EMBEDDING, WIDE_TEACHER_EMBEDDING)
    assert abs(float(there - pkt_loss(WIDE_TEACHER_EMBEDDING, STUDENT_EMBEDDING))) > 1e-3


def test_opposite_and_dead_embeddings_stay_finite():
    row = torch.rand(1, 1000, generator=torch.Generator().manual_seed(0))
    opposite = torch.cat([row, -row, 0.1 * row, torch.zeros_like(row)])
    teacher = WIDE_TEACHER_EMBEDDING.float()
    assert torch.isfinite(pkt_loss(opposite, teacher))
    assert torch.isfinite(pkt_loss(teacher, opposite))
    assert torch.isfinite(gradient(lambda student: pkt_loss(student, teacher), opposite)).all()


def test_images_that_come_one_by_one_are_refused():
    one = Outputs("student", torch.zeros(1, 3), embedding=torch.ones(1, 4))
    with pytest.raises(UnmetNeeds, match="one by one"):
        PKT().check(one, one, About(3, 2, 1, smallest_batch=1))
