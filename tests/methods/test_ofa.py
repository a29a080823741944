"""Stages that answer in logits: the loss on numbers, and which projectors are built."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    LABELS,
    STUDENT_LOGITS,
    TEACHER_LOGITS,
    TOLERANCE,
    agrees_with_finite_differences,
    batch_of,
    gradient,
)
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.kd import kd_loss
from kdcli.methods.ofa import OFA, ofa_loss, projected, projector

ABOUT = About(6, 4, 1)
TEACHER = Outputs("teacher.0", TEACHER_LOGITS.float())


def student(*shapes):
    torch.manual_seed(0)
    stages = tuple(torch.rand(4, *shape) for shape in shapes)
    return Outputs("student", STUDENT_LOGITS.float(), stages=stages)


PYRAMID = student((2, 16, 16), (4, 8, 8), (5, 4, 4), (6, 2, 2))


@pytest.mark.parametrize(("eps", "golden"), [(1.5, 3.6005463071), (1.0, 3.0676684798)])
def test_check_values(eps, golden):
    found = ofa_loss(STUDENT_LOGITS, TEACHER_LOGITS, LABELS, eps)
    assert abs(float(found) - golden) < TOLERANCE


@pytest.mark.parametrize("eps", [1.0, 1.5])
def test_gradient_agrees_with_finite_differences(eps):
    assert agrees_with_finite_differences(
        lambda student: ofa_loss(student, TEACHER_LOGITS, LABELS, eps), STUDENT_LOGITS
    )


def test_at_one_it_is_cross_entropy_with_the_teachers_probabilities():
    found = ofa_loss(STUDENT_LOGITS, TEACHER_LOGITS, LABELS, 1.0)
    torch.testing.assert_close(found, F.cross_entropy(STUDENT_LOGITS, TEACHER_LOGITS.softmax(1)))
    pulls = [
        gradient(lambda z: ofa_loss(z, TEACHER_LOGITS, LABELS, 1.0), STUDENT_LOGITS),
        gradient(lambda z: kd_loss(z, TEACHER_LOGITS, 1.0), STUDENT_LOGITS),
    ]
    torch.testing.assert_close(*pulls)


def test_above_one_the_label_is_pulled_harder():
    pull = {
        eps: gradient(lambda z, e=eps: ofa_loss(z, TEACHER_LOGITS, LABELS, e), TEACHER_LOGITS)
        for eps in (1.0, 1.5)
    }
    rows = torch.arange(4)
    assert float(pull[1.0].abs().max()) < 1e-12  # whoever agrees has nothing to learn
    assert (pull[1.5][rows, LABELS] < 0).all()


def test_the_total_is_that_of_the_logits_and_of_every_projected_stage():
    method = OFA(eps=1.5)
    adapter = method.adapter(PYRAMID, TEACHER, ABOUT)
    assert len(adapter) == 4
    answers = [PYRAMID.logits, *(p(s) for p, s in zip(adapter, PYRAMID.stages, strict=True))]
    expected = sum(ofa_loss(z, TEACHER.logits, LABELS, 1.5) for z in answers)
    found = method.loss(PYRAMID, TEACHER, batch_of(LABELS), adapter)
    torch.testing.assert_close(found, expected)


def test_every_projector_and_every_stage_learns():
    stages = tuple(stage.clone().requires_grad_() for stage in PYRAMID.stages)
    live = Outputs("student", PYRAMID.logits, stages=stages)
    adapter = OFA().adapter(live, TEACHER, ABOUT)
    OFA().loss(live, TEACHER, batch_of(LABELS), adapter).backward()
    learning = [*stages, *(next(project.parameters()) for project in adapter)]
    assert all(float(tensor.grad.abs().max()) > 0 for tensor in learning)


def test_projectors_gradient_agrees_with_finite_differences():
    torch.manual_seed(0)
    project = projector(3, 5, 6, halvings=1).double().eval()
    stage = torch.rand(4, 3, 4, 4, dtype=torch.float64)
    assert agrees_with_finite_differences(
        lambda s: ofa_loss(project(s), TEACHER_LOGITS, LABELS, 1.5), stage
    )


def test_a_projector_halves_the_grid_down_to_the_last_stages():
    for place, (project, stage) in enumerate(
        zip(OFA().adapter(PYRAMID, TEACHER, ABOUT), PYRAMID.stages, strict=True)
    ):
        body = project[:-3]  # without mean, flatten and linear
        assert body(stage).shape == (4, 6, 2, 2)
        assert len(body) == max(3 - place, 1)
        assert project(stage).shape == (4, 6)


def test_channels_double_up_to_the_width_of_the_last_stage():
    first = OFA().adapter(PYRAMID, TEACHER, ABOUT)[0]
    convolutions = [m for m in first.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 6]
    assert [c.stride[0] for c in convolutions] == [2, 1, 1, 1] * 3


def test_of_more_than_four_stages_the_deepest_are_projected():
    deep = student((1, 32, 32), (2, 16, 16), (3, 8, 8), (4, 4, 4), (5, 2, 2))
    assert projected(deep.stages) == deep.stages[1:]
    few = student((1, 8, 8), (2, 4, 4))
    assert projected(few.stages) == few.stages
    assert len(OFA().adapter(few, TEACHER, ABOUT)) == 2


def test_of_twelve_blocks_on_one_grid_those_that_the_authors_chose():
    columnar = student(*[(3, 4, 4)] * 12)
    chosen = [columnar.stages[i] for i in (1, 3, 9, 11)]
    assert all(a is b for a, b in zip(projected(columnar.stages), chosen, strict=True))
    adapter = OFA().adapter(columnar, TEACHER, ABOUT)
    assert torch.isfinite(OFA().loss(columnar, TEACHER, batch_of(LABELS), adapter))


def test_the_teachers_width_does_not_enter():
    wide = Outputs("teacher.0", TEACHER.logits, embedding=torch.zeros(4, 99))
    kinds = [
        [p.shape for p in OFA().adapter(PYRAMID, teacher, ABOUT).parameters()]
        for teacher in (TEACHER, wide)
    ]
    assert kinds[0] == kinds[1]


def test_what_it_cannot_score_is_refused():
    with pytest.raises(UnmetNeeds, match="some are unknown"):
        OFA().check(PYRAMID, TEACHER, About(6, 4, 1, labels=torch.tensor([-1, 2])))
    with pytest.raises(UnmetNeeds, match="batch norm, and here images come one by one"):
        OFA().check(PYRAMID, TEACHER, About(6, 4, 1, smallest_batch=1))
    OFA().check(PYRAMID, TEACHER, ABOUT)
