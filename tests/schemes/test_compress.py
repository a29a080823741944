"""An ensemble that answers once: one pair, and what its answers are."""

import numpy as np
import pytest
import torch
from check_values import STUDENT_LOGITS as STUDENT
from check_values import TEACHER_LOGITS as TEACHER

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import as_one
from kdcli.core.records import Batch, Outputs, Panel
from kdcli.evaluation.answers import together
from kdcli.methods.kd import kd_loss
from kdcli.models.teachers import Recorded
from kdcli.schemes.compress import Compress

MEMBERS = TEACHER.float(), TEACHER.flip(1).float(), -TEACHER.float()


def batch(index):
    rows = torch.tensor(index)
    return Batch(torch.zeros(len(index), 3, 4, 4), rows, torch.zeros(len(index), 3), rows, rows)


def test_the_student_imitates_the_one_answer_of_all():
    outputs = {"student": Outputs("student", STUDENT), "teachers": Outputs("teachers", TEACHER)}
    lesson = Compress().lesson(outputs)
    assert [(one.outputs, one.weight) for one in lesson.learners] == [(outputs["student"], 1)]
    assert [(p.student, p.teacher, p.weight) for p in lesson.pairs] == [(*outputs.values(), 1)]
    assert Compress.labelled_by_teachers


@pytest.mark.parametrize("aggregate", ["probabilities", "logits"])
def test_one_after_another_they_answer_as_at_once(aggregate):
    panel = Compress(weights=(1, 2, 1), aggregate=aggregate).panel(3)
    mean = together((member.numpy().copy() for member in MEMBERS), panel)
    expected = as_one(torch.stack(MEMBERS, 1), panel)
    assert mean.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(mean), expected)


def test_the_mean_of_many_and_of_the_sure_is_finite():
    sure = np.array([[1e4, 0, -1e4]], np.float32)
    mean = together((sure[:, ::step].copy() for step in (1, -1) * 500), Panel((1e-3,) * 1000))
    np.testing.assert_allclose(np.exp(mean), [[0.5, 0, 0.5]], atol=1e-5)
    assert np.isfinite(mean).all()


def test_the_loss_is_that_of_the_papers_mean():
    """The golden value of the mean of two teachers' probabilities."""
    mean = torch.from_numpy(together([m.numpy() for m in MEMBERS[:2]], Panel((0.5, 0.5))))
    assert kd_loss(STUDENT, mean.double(), 1.0).item() == pytest.approx(2.1391793504, abs=1e-5)


def test_recorded_answers_are_found_by_index():
    answers = torch.arange(12.0).view(4, 3)
    found = Recorded(Outputs("teachers", answers))(batch([2, 0, 2]))
    assert found.by == "teachers"
    assert torch.equal(found.logits, answers[[2, 0, 2]])


def test_a_weight_too_many_is_refused_in_words():
    with pytest.raises(UnmetNeeds, match=r"scheme\.weights has 3 for 2 teachers"):
        Compress(weights=(1, 1, 1)).panel(2)
