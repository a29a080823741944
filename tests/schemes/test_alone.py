"""Nobody teaches; and what a scheme does unless it says otherwise."""

from dataclasses import dataclass, field

import pytest
import torch
from pydantic import ValidationError

from kdcli.core.records import About, Batch, Outputs
from kdcli.schemes.alone import Alone
from kdcli.schemes.offline import Offline


def answer(by):
    return Outputs(by, torch.zeros(2, 3))


@dataclass
class Model:
    """Counts how often it is asked."""

    by: str
    calls: list = field(default_factory=list)

    def __call__(self, batch):
        self.calls.append(batch)
        return answer(self.by)


def batch():
    rows = torch.arange(2)
    return Batch(torch.zeros(2, 3, 4, 4), rows, torch.zeros(2, 3), rows, rows)


def test_it_learns_from_labels_and_has_no_teacher():
    student = answer("student")
    lesson = Alone().lesson({"student": student})
    assert [(one.outputs, one.weight) for one in lesson.learners] == [(student, 1.0)]
    assert [(p.student, p.teacher, p.weight) for p in lesson.pairs] == [(student, None, 1.0)]
    assert not Alone.needs_teacher


@pytest.mark.parametrize("scheme", [Alone(), Offline()])
def test_a_step_asks_each_model_once(scheme):
    models = {name: Model(name) for name in ("student", "teacher.0")}
    one = batch()
    answers = scheme.step(models, {}, one)
    assert {name: a.by for name, a in answers.items()} == {name: name for name in models}
    assert [model.calls for model in models.values()] == [[one], [one]]


@pytest.mark.parametrize("scheme", [Alone(), Offline()])
def test_the_student_ships_and_nothing_else_is_trained(scheme):
    student = torch.nn.Linear(2, 2)
    assert scheme.ships({"student": student}, {}) == {"student": student}
    assert scheme.beside({"student": student}, {}) == {}
    assert scheme.parts({}, About(num_classes=2, num_samples=2, steps_per_epoch=1)) == {}


@pytest.mark.parametrize("scheme", [Alone, Offline])
def test_options_that_a_scheme_does_not_have_are_refused(scheme):
    with pytest.raises(ValidationError):
        scheme(peers=2)
