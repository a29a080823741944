"""Relational knowledge distillation on numbers."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    STUDENT_EMBEDDING,
    TEACHER_EMBEDDING,
    TOLERANCE,
    WIDE_TEACHER_EMBEDDING,
    agrees_with_finite_differences,
    gradient,
)

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Outputs
from kdcli.methods.rkd import MOST_IMAGES, RKD, rkd_loss

KINDS = pytest.mark.parametrize("weights", [(1, 0), (0, 1)], ids=["distances", "angles"])


def embeddings(images, width=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(
    ("weights", "golden"),
    [((), 1.8433237674), ((1, 0), 0.0438676392), ((0, 1), 0.0149326558)],
)
def test_check_values(weights, golden):
    found = rkd_loss(STUDENT_EMBEDDING, WIDE_TEACHER_EMBEDDING, *weights)
    assert abs(float(found) - golden) < TOLERANCE


@KINDS
def test_gradient_agrees_with_finite_differences(weights):
    assert agrees_with_finite_differences(
        lambda student: rkd_loss(student, WIDE_TEACHER_EMBEDDING, *weights), STUDENT_EMBEDDING
    )


def test_nothing_to_learn_from_oneself():
    assert float(rkd_loss(TEACHER_EMBEDDING, TEACHER_EMBEDDING)) == 0
    found = gradient(lambda student: rkd_loss(student, TEACHER_EMBEDDING), TEACHER_EMBEDDING)
    assert found.abs().max() == 0


@KINDS
def test_place_scale_and_rotation_do_not_count(weights):
    rotation, _ = torch.linalg.qr(embeddings(5, 5))
    moved = 3.5 * STUDENT_EMBEDDING @ rotation + 7
    expected = rkd_loss(STUDENT_EMBEDDING, WIDE_TEACHER_EMBEDDING, *weights)
    torch.testing.assert_close(rkd_loss(moved, WIDE_TEACHER_EMBEDDING, *weights), expected)


def directions(embedding):
    """Cosines as the paper defines them: between normalised differences."""
    units = F.normalize(embedding - embedding[:, None], dim=2)
    return units @ units.mT


def test_angles_are_those_between_differences():
    student, teacher = embeddings(9), embeddings(9, 5, seed=1)
    expected = F.smooth_l1_loss(directions(student), directions(teacher))
    torch.testing.assert_close(rkd_loss(student, teacher, 0, 1), expected)


def test_angles_of_near_images_survive_float32():
    near = 100 + torch.cat([embeddings(6), embeddings(6) + 1e-3 * embeddings(6, seed=1)])
    found = rkd_loss(near.float(), embeddings(12, seed=2).float(), 0, 1)
    expected = rkd_loss(near.float().double(), embeddings(12, seed=2), 0, 1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=0)


def test_angles_of_a_large_batch_are_those_of_its_parts():
    images = 2 * MOST_IMAGES
    student, teacher = embeddings(images), embeddings(images, seed=1)
    halves = [
        rkd_loss(student[part], teacher[part], 0, 1)
        for part in (slice(MOST_IMAGES), slice(MOST_IMAGES, images))
    ]
    torch.testing.assert_close(rkd_loss(student, teacher, 0, 1), torch.stack(halves).mean())
    assert torch.isfinite(rkd_loss(student[:-63], teacher[:-63]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_in_one_place_give_finite_gradients(dtype):
    student, teacher = embeddings(6).to(dtype), embeddings(6, seed=1).to(dtype)
    student[1], student[2], student[3] = student[0], student[0], student[4] + 1e-30
    for alike in (student, torch.zeros_like(student), torch.full_like(student, 1e-25)):
        found = gradient(lambda s: rkd_loss(s, teacher), alike)
        assert torch.isfinite(found).all()
        assert found.abs().max() < 1e4
        assert torch.isfinite(rkd_loss(teacher, alike))


def test_options_weigh_the_two_terms():
    student = Outputs("student", torch.zeros(4, 3), embedding=STUDENT_EMBEDDING)
    teacher = Outputs("teacher.0", torch.zeros(4, 3), embedding=WIDE_TEACHER_EMBEDDING)
    found = RKD(distance_weight=2.0, angle_weight=3.0).loss(student, teacher, None, None)
    expected = rkd_loss(STUDENT_EMBEDDING, WIDE_TEACHER_EMBEDDING, 2, 3)
    torch.testing.assert_close(found, expected)
    assert abs(float(RKD().loss(student, teacher, None, None)) - 1.8433237674) < TOLERANCE


def test_images_that_come_one_by_one_are_refused():
    one = Outputs("student", torch.zeros(1, 3), embedding=torch.ones(1, 4))
    with pytest.raises(UnmetNeeds, match="one by one"):
        RKD().check(one, one, About(3, 2, 1, smallest_batch=1))
