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
    del outputs["teacher.1"]
    (pair,) = Offline().lesson(outputs).pairs
    assert pair.teacher is outputs["teacher.0"]
