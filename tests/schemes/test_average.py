"""Several teachers, one student: which pairs, how loudly, and what the papers' numbers say."""

import pytest
import torch
from check_values import STUDENT_LOGITS as STUDENT
from check_values import TEACHER_LOGITS as TEACHER

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import as_one
from kdcli.core.records import Outputs, Panel
from kdcli.methods.kd import kd_loss
from kdcli.schemes.average import Average

TEACHERS = TEACHER, TEACHER.flip(1)
EQUAL = Panel((0.5, 0.5))


def lesson(scheme, student=STUDENT):
    outputs = {"student": Outputs("student", student)}
    outputs |= {f"teacher.{i}": Outputs(f"teacher.{i}", t) for i, t in enumerate(TEACHERS)}
    return scheme.lesson(outputs)


def loss_of(scheme, temperature=1.0, student=STUDENT):
    return sum(
        pair.weight * kd_loss(pair.student.logits, pair.teacher.logits, temperature)
        for pair in lesson(scheme, student).pairs
    )


def test_the_mean_of_the_losses():
    assert loss_of(Average()).item() == pytest.approx(2.6692638445, abs=1e-8)


def test_the_loss_of_the_mean():
    mean = as_one(torch.stack(TEACHERS, 1), EQUAL)
    assert kd_loss(STUDENT, mean, 1.0).item() == pytest.approx(2.1391793504, abs=1e-8)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_both_have_the_same_gradient(temperature):
    student = STUDENT.clone().requires_grad_()
    softened = torch.stack([(t / temperature) for t in TEACHERS], 1)
    mean = temperature * as_one(softened, EQUAL)  # of the softened probabilities
    (output,) = torch.autograd.grad(kd_loss(student, mean, temperature), student)
    (losses,) = torch.autograd.grad(loss_of(Average(), temperature, student), student)
    torch.testing.assert_close(output, losses, atol=1e-12, rtol=0)


def test_weights_count_by_their_ratio():
    assert [pair.weight for pair in lesson(Average(weights=(3, 1))).pairs] == [0.75, 0.25]


def test_a_weight_too_many_is_refused_in_words():
    with pytest.raises(UnmetNeeds, match=r"scheme\.weights has 3 for 2 teachers"):
        lesson(Average(weights=(1, 1, 1)))


def test_the_mean_of_logits_is_one_pair():
    (pair,) = lesson(Average(aggregate="logits")).pairs
    torch.testing.assert_close(pair.teacher.logits, (TEACHERS[0] + TEACHERS[1]) / 2)
    assert pair.weight == 1


def test_one_answer_of_several_is_the_log_of_their_mean():
    mean = as_one(torch.stack(TEACHERS, 1), Panel((0.75, 0.25)))
    expected = 0.75 * TEACHERS[0].softmax(1) + 0.25 * TEACHERS[1].softmax(1)
    torch.testing.assert_close(mean.exp(), expected)
    torch.testing.assert_close(mean.softmax(1), expected)
