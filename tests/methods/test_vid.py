"""Variational information distillation on numbers."""

import torch
import torch.nn.functional as F
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_MAP,
    TEACHER_MAP,
    TOLERANCE,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
)
from feature_pairs import built, outputs, score
from torch.distributions import Normal

from kdcli.methods.vid import VID, Gaussian, vid_loss

FIVE = torch.tensor(5.0, dtype=torch.float64)


def test_check_value():
    gaussian = Gaussian(3, 5).double()
    with torch.no_grad():
        for weight in gaussian.mean.parameters():
            n = torch.arange(weight.numel(), dtype=torch.float64)
            weight.copy_((0.05 * n - 0.3).reshape(weight.shape))
        mean, variance = gaussian(STUDENT_MAP)
    assert abs(float(vid_loss(mean, FIVE, WIDE_TEACHER_MAP)) - 0.8598973919) < TOLERANCE
    torch.testing.assert_close(variance, FIVE.expand(5), rtol=0, atol=1e-6)  # starts in float32


def test_is_a_gaussian_likelihood():
    variance = torch.tensor([0.1, 1.0, 40.0], dtype=torch.float64)
    gaussian = Normal(STUDENT_MAP, variance.sqrt()[:, None, None])
    constant = 0.5 * torch.tensor(2 * torch.pi, dtype=torch.float64).log()
    expected = -gaussian.log_prob(TEACHER_MAP).mean() - constant
    torch.testing.assert_close(vid_loss(STUDENT_MAP, variance, TEACHER_MAP), expected)


def test_the_best_variance_is_the_mean_squared_error():
    variance = (STUDENT_MAP - TEACHER_MAP).square().mean((0, 2, 3)).requires_grad_()
    vid_loss(STUDENT_MAP, variance, TEACHER_MAP).backward()
    assert variance.grad.abs().max() < 1e-12


def test_gradient_agrees_with_finite_differences():
    theirs = outputs(WIDE_TEACHER_MAP)
    adapter = built(VID(), outputs(STUDENT_MAP), theirs)
    assert agrees_with_finite_differences(
        lambda student: score(VID(), outputs(student), theirs, adapter), STUDENT_MAP
    )


def test_the_scale_is_learnt_and_spared_by_weight_decay():
    student, teacher = outputs(STUDENT_MAP, STUDENT_MAP), outputs(WIDE_TEACHER_MAP, TEACHER_MAP)
    adapter = built(VID(), student, teacher)
    score(VID(), student, teacher, adapter).backward()
    scales = [gaussian.log_scale for gaussian in adapter]
    assert [tuple(scale.shape) for scale in scales] == [(5,), (3,)]
    assert all(scale.grad.abs().min() > 0 for scale in scales)
    decaying = [name for name, p in adapter.named_parameters() if p.ndim > 1]
    assert len(decaying) == 2 * 3, "three convolutions per stage, without bias"


def test_stages_are_summed_each_on_the_smaller_grid():
    student, teacher = (STUDENT_MAP, FINE_STUDENT_MAP), (TEACHER_MAP, WIDE_TEACHER_MAP)
    adapter = built(VID(), outputs(*student), outputs(*teacher))
    coarse = F.adaptive_avg_pool2d(FINE_STUDENT_MAP, 6)
    expected = vid_loss(*adapter[0](STUDENT_MAP), TEACHER_MAP)
    expected = expected + vid_loss(*adapter[1](coarse), WIDE_TEACHER_MAP)
    torch.testing.assert_close(
        score(VID(), outputs(*student), outputs(*teacher), adapter), expected
    )


def test_maps_of_one_cell_can_be_predicted():
    one, other = outputs(torch.ones(4, 3, 1, 1)), outputs(torch.zeros(4, 5, 1, 1))
    assert torch.isfinite(score(VID(), one, other))
