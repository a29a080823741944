"""A learned temperature: where it starts, which way it goes, and how fast."""

import math

import pytest
import torch
from check_values import LABELS, STUDENT_LOGITS, TEACHER_LOGITS, batch_of
from torch import nn

from kdcli.core.records import About, Outputs
from kdcli.methods.ctkd import CTKD, LearnedTemperature, reversal, with_scaled_gradient
from kdcli.methods.kd import kd_loss
from kdcli.schemes.offline import Offline
from kdcli.training.distiller import Distiller, Term
from kdcli.training.optimizer import param_groups

ABOUT = About(6, 4, 1)
START = 1 + 20 / (1 + math.exp(-1))


def answers(by="student", logits=STUDENT_LOGITS):
    return Outputs(by, logits)


def scored(method, epoch=0.0):
    """The loss, and the adapter with what flowed back to it."""
    student, teacher = answers(), answers("teacher.0", TEACHER_LOGITS)
    adapter = method.adapter(student, teacher, ABOUT).double()
    loss = method.loss(student, teacher, batch_of(LABELS, epoch), adapter)
    loss.backward()
    return loss, adapter


def slope(lowest, span, standardize=False):
    """d loss / d theta at theta = 1, by finite differences of the formula."""

    def loss(theta):
        temperature = lowest + span / (1 + math.exp(-theta))
        return float(kd_loss(STUDENT_LOGITS, TEACHER_LOGITS, temperature, standardize))

    return (loss(1 + 1e-5) - loss(1 - 1e-5)) / 2e-5


def test_it_begins_as_soft_targets_at_the_published_temperature():
    assert pytest.approx(15.6211715726) == START
    loss, adapter = scored(CTKD())
    torch.testing.assert_close(loss.detach(), kd_loss(STUDENT_LOGITS, TEACHER_LOGITS, START))
    assert adapter.theta.shape == ()


def test_the_temperature_stays_within_its_bounds():
    adapter = LearnedTemperature(2.0, 3.0).double()
    for theta, temperature in [(-50.0, 2.0), (0.0, 3.5), (50.0, 5.0)]:
        with torch.no_grad():
            adapter.theta.fill_(theta)
        assert adapter(-1.0).item() == pytest.approx(temperature)


def test_the_temperature_climbs_the_loss_once_the_ramp_is_over():
    _, adapter = scored(CTKD(), epoch=10.0)
    assert float(adapter.theta.grad) == pytest.approx(-slope(1, 20), rel=1e-6)
    before = kd_loss(STUDENT_LOGITS, TEACHER_LOGITS, adapter(-1.0))
    torch.optim.SGD(adapter.parameters(), lr=0.1).step()
    assert kd_loss(STUDENT_LOGITS, TEACHER_LOGITS, adapter(-1.0)) > before


@pytest.mark.parametrize(("epoch", "share"), [(0.0, 0.0), (5.0, 0.5), (7.5, 0.853553), (99.0, 1.0)])
def test_it_opposes_more_and_more(epoch, share):
    _, adapter = scored(CTKD(), epoch)
    assert float(adapter.theta.grad) == pytest.approx(-share * slope(1, 20), rel=1e-4, abs=1e-12)


def test_the_ramp_is_a_cosine_from_nothing_to_a_full_reversal():
    assert reversal(0.0, 10.0) == 0
    assert reversal(2.5, 10.0) == pytest.approx(-(1 - math.sqrt(0.5)) / 2)
    assert reversal(5.0, 10.0) == pytest.approx(-0.5)
    assert reversal(10.0, 10.0) == reversal(300.0, 10.0) == -1


def test_options_reach_the_loss():
    method = CTKD(lowest=2.0, span=4.0, epochs=2.0, standardize=True)
    loss, adapter = scored(method, epoch=2.0)
    start = 2 + 4 / (1 + math.exp(-1))
    expected = kd_loss(STUDENT_LOGITS, TEACHER_LOGITS, start, standardize=True)
    torch.testing.assert_close(loss.detach(), expected)
    assert float(adapter.theta.grad) == pytest.approx(-slope(2, 4, standardize=True), rel=1e-6)


def test_the_student_descends_whatever_the_temperature_does():
    student = STUDENT_LOGITS.clone().requires_grad_()
    adapter = LearnedTemperature(1.0, 20.0).double()
    teacher = answers("teacher.0", TEACHER_LOGITS)
    CTKD().loss(answers(logits=student), teacher, batch_of(LABELS, 10.0), adapter).backward()
    gap = (student.detach() / START).softmax(1) - (TEACHER_LOGITS / START).softmax(1)
    torch.testing.assert_close(student.grad, START * gap / 4, atol=1e-10, rtol=0)


def test_a_scaled_gradient_leaves_the_values_alone():
    tensor = torch.tensor([1e-8, 3.0, 1e8], requires_grad=True)
    same = with_scaled_gradient(tensor, -0.3)
    assert torch.equal(same, tensor)
    same.sum().backward()
    torch.testing.assert_close(tensor.grad, torch.full((3,), -0.3))


class Answers(nn.Module):
    def __init__(self, by, logits):
        super().__init__()
        self.by, self.head = by, nn.Parameter(logits.float())

    def forward(self, batch):
        return Outputs(self.by, self.head)


def test_the_temperature_is_trained_and_saved_without_weight_decay():
    distiller = Distiller(
        scheme=Offline(),
        learners={"student": Answers("student", STUDENT_LOGITS)},
        teachers={"teacher.0": Answers("teacher.0", TEACHER_LOGITS)},
        terms=(Term("ctkd", CTKD(), lambda epoch: 1.0),),
        task_weight=lambda epoch: 0.0,
        example=batch_of(LABELS),
        about=ABOUT,
    )
    assert "adapters.ctkd:0.theta" in distiller.state_dict()
    theta = distiller.adapters["ctkd:0"].theta
    groups = param_groups(distiller, weight_decay=0.05, trunk_lr=0.1)
    (group,) = [g for g in groups if any(p is theta for p in g["params"])]
    assert group["weight_decay"] == 0
    assert group["lr_scale"] == 1
    assert {g["weight_decay"] for g in groups} == {0.0, 0.05}
