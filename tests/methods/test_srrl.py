"""Softmax regression on numbers."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    STUDENT_MAP,
    TEACHER_MAP,
    TOLERANCE,
    agrees_with_finite_differences,
    gradient,
)
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.srrl import SRRL, srrl_statistics_loss


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return nn.Linear(7, 3)


def about(classifier, smallest_batch=8):
    return About(3, 8, 1, smallest_batch=smallest_batch, classifier=classifier)


def pair(classifier, signed=False):
    generator = torch.Generator().manual_seed(1)
    mine = torch.randn(8, 5, generator=generator, requires_grad=True)
    theirs = torch.randn(8, 7, generator=generator)
    theirs = theirs if signed else theirs.relu()
    student = Outputs("student", torch.zeros(8, 3), embedding=mine)
    return student, Outputs("teacher.0", classifier(theirs).detach(), embedding=theirs)


def test_check_value():
    assert abs(float(srrl_statistics_loss(STUDENT_MAP, TEACHER_MAP)) - 0.1349231740) < TOLERANCE


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: srrl_statistics_loss(student, TEACHER_MAP), STUDENT_MAP
    )


def test_nothing_to_learn_from_oneself():
    assert float(srrl_statistics_loss(TEACHER_MAP, TEACHER_MAP)) == 0
    found = gradient(lambda student: srrl_statistics_loss(student, TEACHER_MAP), TEACHER_MAP)
    assert found.abs().max() == 0


def test_the_loss_is_statistics_and_the_teachers_verdict(classifier):
    student, teacher = pair(classifier)
    adapter = SRRL().adapter(student, teacher, about(classifier))
    projected = adapter.projection(student.embedding)
    statistics = (projected - teacher.embedding).square().mean()
    verdict = F.mse_loss(classifier(projected), teacher.logits)
    found = SRRL(logits_weight=0.3).loss(student, teacher, None, adapter)
    torch.testing.assert_close(found, statistics + 0.3 * verdict)
    found = SRRL(logits_weight=0.0).loss(student, teacher, None, adapter)
    torch.testing.assert_close(found, statistics)


def test_the_classifier_is_frozen_and_lets_gradients_through(classifier):
    student, teacher = pair(classifier)
    adapter = SRRL().adapter(student, teacher, about(classifier))
    SRRL().loss(student, teacher, None, adapter).backward()
    whole = student.embedding.grad.clone()
    assert all(p.grad is None for p in classifier.parameters())
    assert all(float(p.grad.abs().max()) > 0 for p in adapter.parameters())
    student.embedding.grad = None
    SRRL(logits_weight=0.0).loss(student, teacher, None, adapter).backward()
    assert not torch.allclose(student.embedding.grad, whole)


def test_the_classifier_is_no_part_of_what_learns_or_is_saved(classifier):
    adapter = SRRL().adapter(*pair(classifier), about(classifier))
    theirs = {id(p) for p in classifier.parameters()}
    assert not theirs & {id(p) for p in adapter.parameters()}
    assert all(key.startswith("projection.") for key in adapter.state_dict())
    classifier.eval()
    adapter.train()
    assert not classifier.training


@pytest.mark.parametrize("signed", [False, True])
def test_a_signed_embedding_is_reached(classifier, signed):
    student, teacher = pair(classifier, signed)
    projected, _ = SRRL().adapter(student, teacher, about(classifier))(student.embedding)
    assert projected.shape == (8, 7)
    assert bool((projected < 0).any()) == signed


def test_a_teacher_whose_logits_are_no_layer_of_its_embedding_is_refused(classifier):
    with pytest.raises(UnmetNeeds, match="this teacher's logits are not one layer") as caught:
        SRRL().check(*pair(classifier), about(None))
    assert "rkd" in caught.value.fix
    SRRL().check(*pair(classifier), about(classifier))


def test_images_that_come_one_by_one_are_refused(classifier):
    with pytest.raises(UnmetNeeds, match="one by one"):
        SRRL().check(*pair(classifier), about(classifier, smallest_batch=1))
