"""Generations of one model: whom the last one imitates, and how."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import Batch, Outputs
from kdcli.recipe.load import load_recipe, scheme_of
from kdcli.schemes.born_again import BornAgain
from kdcli.schemes.offline import Offline
from kdcli.training.terms import methods_of

STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [-2.0, 0.0, 1.0]])
OUTPUTS = {name: Outputs(name, t) for name, t in (("student", STUDENT), ("teacher.0", TEACHER))}


def softmax(logits: torch.Tensor) -> np.ndarray:
    odds = np.exp(logits.numpy().astype(np.float64))
    return odds / odds.sum(1, keepdims=True)


def test_a_generation_learns_as_any_student_does() -> None:
    mine, usual = BornAgain().lesson(OUTPUTS), Offline().lesson(OUTPUTS)
    assert [vars(one) for one in mine.learners] == [vars(one) for one in usual.learners]
    assert [vars(one) for one in mine.pairs] == [vars(one) for one in usual.pairs]


def test_the_recipes_loss_is_kl_at_temperature_1_alone() -> None:
    recipe = load_recipe("born_again").recipe
    (pair,) = scheme_of(recipe).lesson(OUTPUTS).pairs
    (kd,) = methods_of(recipe).values()
    rows = torch.arange(2)
    batch = Batch(torch.zeros(2, 3, 4, 4), rows, torch.eye(3)[:2], rows, rows)
    p, q = softmax(TEACHER), softmax(STUDENT)
    expected = (p * np.log(p / q)).sum(1).mean()
    assert float(kd.loss(pair.student, pair.teacher, batch, None)) == pytest.approx(expected)
    assert (recipe.task.weight, recipe.methods["kd"].weight) == (0.0, 1.0)


def test_it_has_one_teacher_and_at_least_one_generation() -> None:
    assert BornAgain().panel(1).weights == (1.0,)
    with pytest.raises(UnmetNeeds, match="scheme born_again takes one teacher, not 2"):
        BornAgain().panel(2)
    with pytest.raises(UnmetNeeds, match="not 2"):
        BornAgain().lesson({**OUTPUTS, "teacher.1": OUTPUTS["teacher.0"]})
    with pytest.raises(ValidationError):
        BornAgain(generations=0)
