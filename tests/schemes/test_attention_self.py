"""A network taught by its own views: who is there, what they imitate, and real models."""

import pytest
import torch
from house import kd, kd_ok, same_weights
from pydantic import ValidationError
from torch import nn

from kdcli.core.records import About, Batch, Outputs
from kdcli.methods.casd import CASD
from kdcli.methods.kd import KD
from kdcli.models.attention_maps import attention, energy
from kdcli.schemes.attention_self import AttentionSelf
from kdcli.training.distiller import Distiller, Term

SCALED = AttentionSelf(scales=(0.75, 1.25))
CASD_ALONE = ("--recipe", "attention_self", "--set", "methods.casd.weight=0.1")


class Looks(nn.Module):
    """Two stages of one cell per pixel, and one of a single cell."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.head = nn.Linear(5, 3)

    def forward(self, batch):
        first = self.first(batch.images)
        second = self.second(first.relu())
        pooled = second.mean((2, 3))
        stages = first, second, pooled[:, :, None, None]
        return Outputs("student", self.head(pooled), stages, embedding=pooled)


def batch():
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(4)
    return Batch(images, rows % 3, torch.eye(3)[rows % 3], rows, rows)


def taught(scheme, *methods):
    about = About(num_classes=3, num_samples=4, steps_per_epoch=1)
    terms = tuple(Term(type(m).__name__.lower(), m, lambda epoch: 1.0) for m in methods)
    return Distiller(scheme, {"student": Looks()}, {}, terms, lambda epoch: 0.0, batch(), about)


def lesson_of(scheme, model):
    return scheme.lesson(scheme.step({"student": model}, {}, batch()))


def test_every_view_learns_and_imitates_all_of_them():
    lesson = lesson_of(SCALED.model_copy(update={"labels": "all"}), Looks())
    views = ["student", "student@flip", "student@scale_0.75", "student@scale_1.25"]
    assert [(one.outputs.by, one.weight) for one in lesson.learners] == [(v, 0.25) for v in views]
    assert [(p.student.by, p.teacher.by, p.weight) for p in lesson.pairs] == [
        (view, "student@all", 0.25) for view in views
    ]
    assert all(
        pair.student.logits is one.outputs.logits
        for pair, one in zip(lesson.pairs, lesson.learners, strict=True)
    )


def test_labels_are_those_of_the_images_as_they_are():
    """A mirrored digit is none."""
    (learner,) = lesson_of(SCALED, Looks()).learners
    assert (learner.outputs.by, learner.weight) == ("student", 1.0)


def test_the_mirror_image_and_no_other_view_by_default():
    assert list(AttentionSelf().views()) == ["student", "student@flip"]


def test_all_views_as_one():
    model, one = Looks(), batch()
    as_is, flipped = model(one), model(Batch(one.images.flip(3), *[None] * 4))
    first, second = lesson_of(AttentionSelf(), model).pairs
    probabilities = (as_is.logits.softmax(1) + flipped.logits.softmax(1)) / 2
    torch.testing.assert_close(first.teacher.logits.softmax(1), probabilities)
    torch.testing.assert_close(first.teacher.embedding, (as_is.embedding + flipped.embedding) / 2)
    for place, stage in enumerate(as_is.stages):
        expected = (stage + flipped.stages[place].flip(3)) / 2
        torch.testing.assert_close(first.teacher.features[place], expected)
        torch.testing.assert_close(second.teacher.features[place], expected.flip(3))
        assert second.student.features[place].equal(flipped.stages[place])


def test_attention_is_the_maximum_over_views_of_maps_with_cells():
    model, one = Looks(), batch()
    as_is, flipped = model(one), model(Batch(one.images.flip(3), *[None] * 4))
    first, second = lesson_of(AttentionSelf(), model).pairs
    assert len(first.student.attention) == len(first.teacher.attention) == 2
    for place in (0, 1):
        mine, other = (attention(energy(o.stages[place])) for o in (as_is, flipped))
        target = torch.maximum(mine, other.flip(2))
        torch.testing.assert_close(first.student.attention[place], mine)
        torch.testing.assert_close(first.teacher.attention[place], target)
        torch.testing.assert_close(second.teacher.attention[place], target.flip(2))
    assert len(lesson_of(AttentionSelf(layers=1), model).pairs[0].student.attention) == 1


def test_a_view_that_is_never_behind_learns_nothing_from_the_others():
    """Gradient reaches a view through its own side alone: symmetric images have equal views."""
    distiller, one = taught(AttentionSelf(layers=1), CASD()), batch()
    for conv in (distiller.learners["student"].first, distiller.learners["student"].second):
        conv.weight.data = (conv.weight + conv.weight.flip(3)) / 2
    even = Batch(
        (one.images + one.images.flip(3)) / 2, one.labels, one.targets, one.index, one.view
    )
    losses = distiller(even)
    losses.total.backward()
    assert losses.total.item() == pytest.approx(0, abs=1e-10)
    assert all(p.grad.abs().max() < 1e-5 for p in distiller.parameters() if p.grad is not None)


@pytest.mark.parametrize("scheme", [AttentionSelf(), SCALED])
def test_nobody_is_taught_through_the_teachers_side(scheme):
    for pair in lesson_of(scheme, Looks()).pairs:
        teacher = pair.teacher
        for one in (teacher.logits, teacher.embedding, *teacher.features, *teacher.attention):
            assert not one.requires_grad
        assert all(one.requires_grad for one in pair.student.attention)


def test_methods_that_read_answers_work_beside_it():
    distiller = taught(SCALED, CASD(), KD())
    losses = distiller(batch())
    losses.total.backward()
    assert losses.terms["casd"] > 0
    assert losses.terms["kd"] > 0
    assert distiller.learners["student"].first.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("scales", [(1.0,), (0.75, 0.75), (3.0,), (0.1,)])
def test_scales_that_are_no_further_view_are_refused(scales):
    with pytest.raises(ValidationError):
        AttentionSelf(scales=scales)


# Real models -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_network_teaches_itself(empty_house, pictures):
    data = ("--data", pictures, "--set", "train.epochs=2")
    for student, more in (
        ("test_resnet", ("--set", "scheme.scales=[0.75,1.25]")),
        ("test_vit", ("--set", "methods.fitnet.weight=0.1", "--set", "methods.rkd.weight=0.1")),
    ):
        answer = kd_ok("distill", "--student", student, *CASD_ALONE, *data, *more)
        assert "casd" in answer.out + answer.err
        assert (empty_house.run(f"attention_self-{student}") / "model.pt").is_file()


@pytest.mark.slow
def test_it_goes_on_where_it_was_interrupted(empty_house, pictures, tmp_path, monkeypatch):
    command = ("distill", "--student", "test_resnet", *CASD_ALONE, "--data", pictures)
    command += ("--set", "train.epochs=2")
    kd_ok(*command, "--out", tmp_path / "whole")
    from kdcli.training import loop

    def interrupted(*args):
        training_keep(*args)
        raise KeyboardInterrupt

    training_keep = loop.keep
    with monkeypatch.context() as patch:
        patch.setattr("kdcli.training.loop.keep", interrupted)
        assert kd(*command, "--out", tmp_path / "again").code == 130
    assert not (tmp_path / "again" / "model.pt").exists()
    assert "going on after epoch 1" in kd_ok(*command, "--out", tmp_path / "again").err
    assert same_weights(tmp_path / "whole" / "model.pt", tmp_path / "again" / "model.pt")


def test_casd_is_refused_where_nobody_gives_attention(empty_house, pictures):
    answer = kd(
        *("distill", "--student", "test_resnet", "--recipe", "mutual", "--data", pictures),
        *("--set", "methods.casd.weight=0.1"),
    )
    assert answer.code == 2
    assert "casd needs attention; scheme mutual does not give that here" in answer.err
