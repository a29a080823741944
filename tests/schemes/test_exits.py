"""Exits: who learns from whom, what it is built of, and that each exit is a model of its own."""

from dataclasses import replace

import pytest
import torch
from check_values import STUDENT_LOGITS, TEACHER_LOGITS, TOLERANCE
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Batch, Outputs
from kdcli.methods.fitnet import FitNet
from kdcli.methods.kd import KD, kd_loss
from kdcli.models.build import build, plan, seeded
from kdcli.models.early_exits import EarlyExit
from kdcli.models.tap import Tap
from kdcli.schemes.exits import Exits
from kdcli.training.distiller import Distiller, Term
from kdcli.training.losses import task_loss

CLASSES = 5
ABOUT = About(CLASSES, 6, 1, smallest_batch=6)


def a_batch() -> Batch:
    rows = torch.arange(6)
    images = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    targets = nn.functional.one_hot(rows % CLASSES, CLASSES).float()
    return Batch(images, rows % CLASSES, targets, rows, torch.zeros_like(rows))


def answers(exits: int = 2) -> dict[str, Outputs]:
    maps = tuple(torch.rand(4, 3, 8 // 2**i, 8 // 2**i) for i in range(exits + 1))
    found = {"student": Outputs("student", TEACHER_LOGITS, stages=maps)}
    for i in range(1, exits + 1):
        found[f"exit.{i}"] = Outputs(f"exit.{i}", STUDENT_LOGITS * i, features=(torch.rand(1),))
    return found


def made(name: str, labels: float = 0.7, methods=None) -> Distiller:
    args = plan(name, CLASSES, 64, None)
    with seeded(0, "student"):
        student = Tap(build(args), args, "student")
    methods, batch = methods or {"kd": KD(temperature=3.0), "fitnet": FitNet()}, a_batch()
    return Distiller(
        scheme=Exits(labels=labels),
        learners={"student": student},
        teachers={},
        terms=tuple(Term(key, method, lambda epoch: 0.3) for key, method in methods.items()),
        task_weight=lambda epoch: 1.0,
        example=batch,
        about=ABOUT,
    )


def test_each_exit_learns_from_the_labels_and_from_the_deepest():
    outputs = answers()
    lesson = Exits(labels=0.9).lesson(outputs)
    assert [(one.outputs.by, one.weight) for one in lesson.learners] == [
        ("student", 1.0),
        ("exit.1", 0.9),
        ("exit.2", 0.9),
    ]
    assert [(p.student.by, p.teacher.by, p.weight) for p in lesson.pairs] == [
        ("exit.1", "student", 1.0),
        ("exit.2", "student", 1.0),
    ]
    for pair in lesson.pairs:
        assert pair.student is outputs[pair.student.by]
        assert pair.teacher.features[0] is outputs["student"].stages[-1]


def test_the_softened_answers_are_those_of_the_published_code():
    """Its cross-entropy at T = 3 is the divergence and the entropy of the target, without T^2."""
    (pair, _) = Exits().lesson(answers()).pairs
    target = (pair.teacher.logits / 3).softmax(1)
    entropy = -(target * target.log()).sum(1).mean()
    found = kd_loss(pair.student.logits, pair.teacher.logits, 3.0) / 9 + entropy
    assert found.item() == pytest.approx(1.9545291286, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_a_step_teaches_trunk_and_exits_and_is_the_paper_s_sum(name):
    distiller, batch = made(name), a_batch()
    lesson = distiller._lesson(batch)
    with torch.random.fork_rng():
        losses = distiller(batch)
    assert list(distiller.parts) == [f"exit_{i}" for i in range(1, len(lesson.pairs) + 1)]
    assert lesson.pairs
    for pair in lesson.pairs:
        ((mine,), (theirs,)) = pair.student.features, pair.teacher.features
        assert mine.shape == theirs.shape
        assert not theirs.requires_grad
        assert not pair.teacher.logits.requires_grad
        torch.testing.assert_close(pair.student.embedding, mine.mean((2, 3)))
    torch.testing.assert_close(losses.terms["task"], task_loss(lesson.learners, batch))
    each = [kd_loss(p.student.logits, p.teacher.logits, 3.0) for p in lesson.pairs]
    torch.testing.assert_close(losses.terms["kd"], torch.stack(each).sum())
    losses.total.backward()
    assert all(weight.grad is not None for weight in distiller.parts.parameters())
    assert sum(p.grad is not None for p in distiller.learners.parameters()) > 5


def test_without_labels_and_methods_weight_the_exits_leave_the_deepest_alone():
    """The deepest teaches; nothing of what its exits are taught reaches its own last layer."""
    distiller, batch = made("test_resnet", labels=0.0), a_batch()
    losses = distiller(batch)
    (losses.terms["kd"] + losses.terms["fitnet"]).backward()
    module = distiller.learners["student"].module
    assert module.fc.weight.grad is None
    assert module.layer4[0].conv1.weight.grad is None
    assert module.conv1[0].weight.grad is not None


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_an_exit_beside_is_a_smaller_model_that_answers_alike(name):
    distiller, batch = made(name), a_batch()
    assert list(distiller.ships()) == ["student"]
    distiller.eval()
    with torch.no_grad():
        outputs = distiller.scheme.step(distiller._models(), distiller.parts, batch)
        for by, tap in distiller.beside().items():
            assert isinstance(tap.module, EarlyExit)
            alone = build(tap.args).eval()
            alone.load_state_dict(tap.module.state_dict())
            again = Tap(alone, tap.args, by)(batch)
            torch.testing.assert_close(again.logits, outputs[by].logits, rtol=1e-4, atol=1e-5)
    names = [f"exit.{i}" for i in range(1, len(distiller.parts) + 1)]
    assert list(distiller.beside()) == names


def test_the_exits_of_a_moving_average_are_its_own():
    import copy

    distiller = made("test_resnet")
    average = copy.deepcopy(distiller.learning)
    with torch.no_grad():
        distiller.learners["student"].module.conv1[0].weight.add_(1)
    (mine, theirs) = (
        one["exit.1"].module.trunk.conv1[0].weight
        for one in (distiller.beside(), distiller.beside(average))
    )
    assert torch.equal(mine, theirs + 1)


def test_a_student_of_one_stage_has_no_exits():
    outputs = {"student": Outputs("student", torch.zeros(2, 5), stages=(torch.zeros(2, 3, 4, 4),))}
    with pytest.raises(UnmetNeeds, match="one stage"):
        Exits().parts(outputs, ABOUT)


def test_single_images_are_refused():
    with pytest.raises(UnmetNeeds, match="one by one"):
        Exits().parts(answers(), replace(ABOUT, smallest_batch=1))
