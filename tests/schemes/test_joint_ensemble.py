"""Models that learn as one: built apart, answered for together, opened together."""

import torch
from house import House, kd_ok

from kdcli.core.functional import as_one
from kdcli.core.records import Outputs
from kdcli.models.loading import load
from kdcli.schemes.joint_ensemble import JointEnsemble


def test_the_labels_see_one_model():
    scheme, student = JointEnsemble(), Outputs("student", torch.zeros(2, 3))
    found = scheme.lesson({"student": student})
    assert [learner.outputs for learner in found.learners] == [student]
    assert scheme.student_args(0) == {"copies": 3, "aggregate": "logits"}
    assert not scheme.needs_teacher


def test_it_is_trained_and_opened_as_one(empty_house: House, pictures) -> None:
    line = ("train", "test_resnet", "--recipe", "joint_ensemble", "--data", pictures)
    kd_ok(*line, "--set", "train.epochs=1", "--set", "scheme.members=2")
    run = empty_house.run("teacher-")
    found = load(run / "model.pt")
    assert (found.args.copies, found.args.aggregate) == (2, "logits")
    images = torch.rand(3, 3, found.args.input_size, found.args.input_size)
    with torch.no_grad():
        members = torch.stack([member(images) for member in found.module], 1)
        torch.testing.assert_close(found.module(images), as_one(members, found.args.panel))
        torch.testing.assert_close(found.module(images), members.mean(1))
    assert "2 copies of 3 classes, mean of their logits" in kd_ok("inspect", run).out
