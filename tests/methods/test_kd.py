"""Soft targets on numbers: golden values and what the formula promises."""

import pytest
import torch
import torch.nn.functional as F
from check_values import LABELS, STUDENT_LOGITS, TEACHER_LOGITS, TOLERANCE
from pydantic import ValidationError

from kdcli.core.records import Batch, Learner, Outputs
from kdcli.data.packed_batches import smooth
from kdcli.methods.kd import KD, kd_loss
from kdcli.training.losses import task_loss


@pytest.fixture
def zs():
    return STUDENT_LOGITS.clone()


@pytest.fixture
def zt():
    return TEACHER_LOGITS.clone()


def batch(targets):
    rows = torch.arange(4)
    return Batch(torch.zeros(4, 3, 2, 2), LABELS, targets, rows, torch.zeros_like(rows))


def cross_entropy(logits, targets):
    return task_loss((Learner(Outputs("student", logits)),), batch(targets))


def test_golden_value_of_standardized_logits(zs, zt):
    assert abs(float(kd_loss(zs, zt, 2.0, standardize=True)) - 0.6200593453) < TOLERANCE
    scaled = kd_loss(2.5 * zs + 1, zt, 2.0, standardize=True)
    torch.testing.assert_close(scaled, kd_loss(zs, zt, 2.0, standardize=True), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("temperature", "golden"), [(4.0, 4.8791108431), (1.0, 2.3659065651)])
def test_golden_values(zs, zt, temperature, golden):
    assert abs(float(kd_loss(zs, zt, temperature)) - golden) < TOLERANCE


def test_golden_mix_of_labels_and_teacher(zs, zt):
    labels = cross_entropy(zs, F.one_hot(LABELS, 6).double())
    assert abs(float(labels) - 2.9630983303) < TOLERANCE
    mix = 0.1 * labels + 0.9 * kd_loss(zs, zt, 4.0)
    assert abs(float(mix) - 4.6875095919) < TOLERANCE


def test_golden_label_smoothing_spreads_over_all_classes(zs):
    targets = F.one_hot(LABELS, 6).double() * 0.9 + 0.1 / 6
    assert abs(float(cross_entropy(zs, targets)) - 2.9917421532) < TOLERANCE
    smoothed = smooth(LABELS, 6, 0.1)
    torch.testing.assert_close(smoothed.double(), targets, atol=1e-7, rtol=0)
    assert abs(float(cross_entropy(zs, smoothed.double())) - 2.9917421532) < 1e-6  # float32 targets


def test_the_method_scores_the_pair_at_its_temperature(zs, zt):
    student, teacher = Outputs("student", zs), Outputs("teacher.0", zt)
    found = KD(temperature=1.0).loss(student, teacher, batch(torch.zeros(4, 6)), None)
    assert abs(float(found) - 2.3659065651) < TOLERANCE
    assert KD().temperature == 4.0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_zero_loss_and_zero_gradient_at_equality(zt, temperature):
    student = zt.clone().requires_grad_()
    loss = kd_loss(student, zt, temperature)
    loss.backward()
    assert abs(float(loss.detach())) < 1e-12
    assert float(student.grad.abs().max()) < 1e-12


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_is_the_difference_of_softened_probabilities(zs, zt, temperature):
    zs.requires_grad_()
    kd_loss(zs, zt, temperature).backward()
    gap = (zs.detach() / temperature).softmax(1) - (zt / temperature).softmax(1)
    torch.testing.assert_close(zs.grad, temperature * gap / 4, atol=1e-12, rtol=0)


def test_at_a_high_temperature_logits_are_matched(zs, zt):
    zs.requires_grad_()
    kd_loss(zs, zt, 1e4).backward()
    gap = zs.detach() - zt
    centred = gap - gap.mean(1, keepdim=True)
    torch.testing.assert_close(zs.grad, centred / (4 * 6), atol=1e-4, rtol=0)


def test_a_constant_per_row_changes_nothing(zs, zt):
    shift = torch.tensor([[1.0], [-20.0], [300.0], [0.5]], dtype=torch.float64)
    same = kd_loss(zs + shift, zt - 2 * shift, 4.0)
    torch.testing.assert_close(same, kd_loss(zs, zt, 4.0), atol=1e-10, rtol=0)


def test_the_loss_is_a_mean_over_images(zs, zt):
    twice = kd_loss(torch.cat([zs, zs]), torch.cat([zt, zt]), 4.0)
    torch.testing.assert_close(twice, kd_loss(zs, zt, 4.0))


def test_swapping_student_and_teacher_is_another_loss(zs, zt):
    assert abs(float(kd_loss(zs, zt, 4.0) - kd_loss(zt, zs, 4.0))) > 1e-3


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_give_no_nan(size):
    student = torch.tensor([[size, 0.0, -size]], requires_grad=True)
    loss = kd_loss(student, torch.tensor([[-size, 0.0, size]]), 1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


def test_bf16_autocast_leaves_the_loss_in_float32(zs, zt):
    outside = kd_loss(zs.float(), zt.float(), 4.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = kd_loss(zs.float(), zt.float(), 4.0)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "4", True, None])
def test_a_temperature_that_makes_no_sense_is_refused(value):
    with pytest.raises(ValidationError):
        KD(temperature=value)


def test_options_are_frozen_and_unknown_ones_refused():
    with pytest.raises(ValidationError):
        KD(tempature=4.0)
    with pytest.raises(ValidationError):
        KD().temperature = 2.0
