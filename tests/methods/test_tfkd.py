"""A virtual teacher on numbers, and a training in which there is no other."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    LABELS,
    STUDENT_LOGITS,
    TOLERANCE,
    agrees_with_finite_differences,
    batch_of,
    gradient,
)
from pydantic import ValidationError
from torch import nn

from kdcli.core import registry
from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.tfkd import TFKD, tfkd_loss
from kdcli.recipe.load import load_recipe
from kdcli.training.distiller import Distiller, Term

ANSWERS = Outputs("student", STUDENT_LOGITS)
CROSS_ENTROPY = 2.9630983303


def test_check_value():
    """The authors' total, (1 - a) CE + a · 100 · (mean over images x classes), with a = 0.1."""
    elementwise = tfkd_loss(STUDENT_LOGITS, LABELS, 0.99, 20.0) / STUDENT_LOGITS.shape[1]
    total = 0.9 * CROSS_ENTROPY + 0.1 * 100 * float(elementwise)
    assert abs(total - 5.0927101083) < TOLERANCE


def test_of_a_hundred_classes_it_is_the_authors_loss():
    student = torch.linspace(-3, 5, 400, dtype=torch.float64).reshape(4, 100)
    q = torch.full((4, 100), 0.01 / 99, dtype=torch.float64)
    q[torch.arange(4), LABELS] = 0.99
    elementwise = F.kl_div(F.log_softmax(student, 1), (q / 20).softmax(1), reduction="none").mean()
    torch.testing.assert_close(tfkd_loss(student, LABELS, 0.99, 20.0), 100 * elementwise)


def test_the_default_weight_keeps_the_authors_ratio():
    assert TFKD.default_weight * 0.9 == pytest.approx(0.1)


def test_options_reach_the_loss():
    found = TFKD(correct=0.8, temperature=2.0).loss(ANSWERS, ANSWERS, batch_of(LABELS), None)
    assert torch.equal(found, tfkd_loss(STUDENT_LOGITS, LABELS, 0.8, 2.0))
    default = TFKD().loss(ANSWERS, ANSWERS, batch_of(LABELS), None)
    assert torch.equal(default, tfkd_loss(STUDENT_LOGITS, LABELS, 0.99, 20.0))


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: tfkd_loss(student, LABELS, 0.99, 20.0), STUDENT_LOGITS
    )


def test_nothing_to_learn_from_the_virtual_teacher_itself():
    q = torch.full((4, 6), 0.01 / 5, dtype=torch.float64)
    q[torch.arange(4), LABELS] = 0.99
    assert abs(float(tfkd_loss(q / 20, LABELS, 0.99, 20.0))) < 1e-12
    found = gradient(lambda student: tfkd_loss(student, LABELS, 0.99, 20.0), q / 20)
    assert float(found.abs().max()) < 1e-12


def test_unknown_labels_are_refused():
    with pytest.raises(UnmetNeeds, match="some are unknown"):
        TFKD().check(ANSWERS, ANSWERS, About(6, 4, 1, labels=torch.tensor([1, -1])))


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5])
def test_certainty_is_refused(value):
    with pytest.raises(ValidationError):
        TFKD(correct=value)


class Answers(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(STUDENT_LOGITS.float())

    def forward(self, batch):
        return Outputs("student", self.weight)


def test_a_recipe_without_a_teacher_trains(tmp_path):
    file = tmp_path / "free.yaml"
    file.write_text("scheme: alone\nmethods:\n  tfkd: {temperature: 10.0}\n")
    recipe = load_recipe(str(file)).recipe
    use = recipe.methods["tfkd"]
    method = registry.load("methods", "tfkd")(**use.options)
    batch, learner = batch_of(LABELS), Answers()
    distiller = Distiller(
        scheme=registry.load("schemes", recipe.scheme.name)(),
        learners={"student": learner},
        teachers={},
        terms=(Term("tfkd", method, lambda epoch: use.weight),),
        task_weight=lambda epoch: 1.0,
        example=batch,
        about=About(6, 4, 1, labels=LABELS),
    )
    losses = distiller(batch)
    assert losses.weights == {"task": 1.0, "tfkd": pytest.approx(1 / 9)}
    expected = tfkd_loss(learner.weight, LABELS, 0.99, 10.0)
    torch.testing.assert_close(losses.terms["tfkd"], expected)
    losses.total.backward()
    assert float(learner.weight.grad.abs().max()) > 0
