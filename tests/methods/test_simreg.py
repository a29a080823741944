"""Regression onto a teacher's embedding, on numbers."""

import pytest
import torch
from check_values import TOLERANCE, agrees_with_finite_differences

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.simreg import SimReg, simreg_loss

STUDENT = torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)


def test_check_values():
    """By hand: cosines 3/5 and 0, so (4/5 + 2) / 2."""
    assert abs(float(simreg_loss(STUDENT, TEACHER)) - 1.4) < TOLERANCE
    assert abs(float(simreg_loss(STUDENT, -STUDENT)) - 4.0) < TOLERANCE


def test_only_directions_count():
    longer = simreg_loss(7 * STUDENT, 0.1 * TEACHER)
    assert abs(float(longer - simreg_loss(STUDENT, TEACHER))) < TOLERANCE


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(lambda student: simreg_loss(student, TEACHER), STUDENT)


def test_the_head_leads_from_any_width_to_any_other_and_hears_no_logits():
    torch.manual_seed(0)
    mine = Outputs("student", torch.empty(4, 3), embedding=torch.randn(4, 5))
    theirs = Outputs("teacher.0", torch.empty(4, 0), embedding=torch.randn(4, 7))
    method, about = SimReg(), About(3, 4, 1, smallest_batch=4)
    adapter = method.adapter(mine, theirs, about)
    assert [tuple(p.shape) for p in adapter.parameters() if p.dim() == 2] == [
        (10, 5),
        (5, 10),
        (10, 5),
        (7, 10),
    ]
    assert 0 < float(method.loss(mine, theirs, None, adapter).detach()) < 4


def test_images_one_by_one_are_refused():
    outputs = Outputs("student", torch.empty(1, 3), embedding=torch.randn(1, 5))
    with pytest.raises(UnmetNeeds, match="one by one"):
        SimReg().check(outputs, outputs, About(3, 4, 1, smallest_batch=1))
