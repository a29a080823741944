"""One teacher: more of them are refused, never passed over."""

import pytest
import torch

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import Outputs
from kdcli.schemes.offline import Offline


def test_it_takes_one_teacher() -> None:
    names = ("student", "teacher.0", "teacher.1")
    outputs = {name: Outputs(name, torch.zeros(2, 3)) for name in names}
    with pytest.raises(UnmetNeeds, match="scheme offline takes one teacher, not 2"):
        Offline().lesson(outputs)


def test_the_student_learns_from_labels_and_from_its_teacher() -> None:
    student, teacher = (Outputs(by, torch.zeros(2, 3)) for by in ("student", "teacher.0"))
    lesson = Offline().lesson({"student": student, "teacher.0": teacher})
    assert [(one.outputs, one.weight) for one in lesson.learners] == [(student, 1.0)]
    assert [(p.student, p.teacher, p.weight) for p in lesson.pairs] == [(student, teacher, 1.0)]
    assert Offline.needs_teacher
