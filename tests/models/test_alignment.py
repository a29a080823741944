"""What each model shows, and whom it answers: each pair on its own."""

import pytest
import torch

from kdcli.core import registry
from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import Batch, Pair
from kdcli.models.alignment import correspondences
from kdcli.models.build import build, plan, seeded
from kdcli.models.route import View
from kdcli.models.tap import Tap

IMAGES = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))


def tap(name, by):
    args = plan(name, 5, 160, None)
    with seeded(0, by):
        return Tap(build(args), args, by).eval()


def methods(*names):
    return [registry.load("methods", name)() for name in names]


def ask(model):
    rows = torch.arange(2)
    return model(Batch(IMAGES, rows, torch.zeros(2, 5), rows, rows))


def test_two_teachers_of_different_architecture_are_each_matched_on_their_own():
    student = tap("test_efficientnet", "student")
    teachers = {"teacher.0": tap("test_resnet", "teacher.0"), "teacher.1": tap("test_vit", "t")}
    found = correspondences(methods("at"), {"student": student}, teachers, IMAGES)
    assert set(found) == {("student", "teacher.0"), ("student", "teacher.1")}
    mine = ask(student)
    for name, teacher in teachers.items():
        pair = found["student", name].align(Pair(mine, ask(teacher)))
        assert len(pair.student.features) == len(pair.teacher.features) == 4
        assert [f.shape[2] for f in pair.student.features] == [40, 20, 10, 5]
    cnn = found["student", "teacher.0"].align(Pair(mine, ask(teachers["teacher.0"])))
    vit = found["student", "teacher.1"].align(Pair(mine, ask(teachers["teacher.1"])))
    assert [f.shape[2] for f in cnn.teacher.features] == [40, 20, 10, 5]
    assert [f.shape[2] for f in vit.teacher.features] == [10] * 4


def test_peers_answer_each_other():
    learners = {"student": tap("test_resnet", "student"), "peer.1": tap("test_convnext", "peer.1")}
    found = correspondences(methods("at"), learners, {}, IMAGES)
    assert set(found) == {("student", "peer.1"), ("peer.1", "student")}
    forwards, backwards = found["student", "peer.1"].stages, found["peer.1", "student"].stages
    assert forwards == tuple((mine, theirs) for theirs, mine in backwards)


@pytest.mark.parametrize(
    ("names", "student", "teacher"),
    [
        (("kd",), View(), View()),
        (("kd", "rkd"), View(embedding=True), View(embedding=True)),
        (("fitnet",), View((1, 2, 3, 4)), View((1, 2, 3, 4))),
        (("ofa",), View((1, 2, 3, 4)), View()),
        (("ofd",), View((1, 2, 3, 4), preactivations=True), View((1, 2, 3, 4), False, True)),
    ],
)
def test_models_show_what_is_read_and_no_more(names, student, teacher):
    mine, theirs = tap("test_efficientnet", "student"), tap("test_resnet", "teacher.0")
    correspondences(methods(*names), {"student": mine}, {"teacher.0": theirs}, IMAGES)
    assert mine.route.view == student
    assert theirs.route.view == teacher


def test_a_model_alone_shows_what_its_scheme_reads_and_only_then():
    alone = tap("test_efficientnet", "student")
    assert correspondences(methods("casd"), {"student": alone}, {}, IMAGES) == {}
    assert alone.route.view == View()
    correspondences(methods("kd"), {"student": alone}, {}, IMAGES, read=frozenset({"stages"}))
    assert alone.route.view == View((1, 2, 3, 4))


def test_pairs_that_a_person_chose():
    mine, theirs = tap("test_efficientnet", "student"), tap("test_resnet", "teacher.0")
    wanted = [[2, 1], [4, 4]]
    found = correspondences(methods("at"), {"student": mine}, {"teacher.0": theirs}, IMAGES, wanted)
    assert (mine.route.view.stages, theirs.route.view.stages) == ((2, 4), (1, 4))
    assert found["student", "teacher.0"].stages == ((0, 0), (1, 1))


def test_what_is_known_of_a_teacher_reaches_the_pair():
    mine, theirs = tap("test_efficientnet", "student"), tap("test_resnet", "teacher.0")
    (found,) = correspondences(
        methods("srrl", "ofd"), {"student": mine}, {"teacher.0": theirs}, IMAGES
    ).values()
    assert found.classifier is theirs.module.get_classifier()
    assert len(found.norms) == len(found.stages)
    assert [norm.num_features for norm in found.norms] == [
        f.shape[1] for f in found.align(Pair(ask(mine), ask(theirs))).teacher.features
    ]


def test_a_model_that_cannot_show_it_is_refused():
    student, teacher = tap("test_resnet", "student"), tap("test_vit", "teacher.0")
    with pytest.raises(UnmetNeeds, match="no distillation head"):
        correspondences(methods("deit"), {"student": student}, {"teacher.0": teacher}, IMAGES)
