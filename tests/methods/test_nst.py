"""Neuron selectivity transfer on numbers."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_MAP,
    TEACHER_MAP,
    TOLERANCE,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
    gradient,
    wave,
)
from feature_pairs import ABOUT, outputs, score

from kdcli.core.errors import UnmetNeeds
from kdcli.methods.nst import NST, nst_loss

DEEP_STUDENT_MAP = wave((4, 7, 2, 2), torch.sin, 0.13, 0.1)
DEEP_TEACHER_MAP = wave((4, 9, 2, 2), torch.cos, 0.11, 0.2)


def test_check_value():
    assert abs(float(nst_loss(STUDENT_MAP, WIDE_TEACHER_MAP)) - 0.1113505902) < TOLERANCE


@pytest.mark.parametrize(
    ("student", "teacher"),
    [(STUDENT_MAP, WIDE_TEACHER_MAP), (DEEP_STUDENT_MAP, DEEP_TEACHER_MAP)],
    ids=["more cells", "more channels"],
)
def test_agrees_with_the_sum_over_all_pairs_of_channels(student, teacher):
    def kernel(a, b):
        a, b = (F.normalize(f.flatten(2), dim=2) for f in (a, b))
        return (a[:, :, None] * b[:, None]).sum(3).square().mean()

    expected = kernel(student, student) + kernel(teacher, teacher) - 2 * kernel(student, teacher)
    torch.testing.assert_close(nst_loss(student, teacher), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("student", "teacher"), [(STUDENT_MAP, WIDE_TEACHER_MAP), (DEEP_STUDENT_MAP, DEEP_TEACHER_MAP)]
)
def test_gradient_agrees_with_finite_differences(student, teacher):
    assert agrees_with_finite_differences(lambda mine: nst_loss(mine, teacher), student)


def test_many_channels_of_few_cells_take_little_memory():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda found: found):
        nst_loss(DEEP_STUDENT_MAP.clone().requires_grad_(), DEEP_TEACHER_MAP)
    assert max(tensor.numel() for tensor in kept) <= DEEP_TEACHER_MAP.numel()


def test_nothing_to_learn_from_oneself():
    assert float(nst_loss(TEACHER_MAP, TEACHER_MAP)) == 0
    learnt = gradient(lambda student: nst_loss(student, TEACHER_MAP), TEACHER_MAP)
    assert learnt.abs().max() < 1e-12


def test_channels_are_a_set_and_have_no_strength():
    strengths = torch.tensor([0.2, 3.0, 50.0], dtype=torch.float64)[:, None, None]
    others = (strengths * STUDENT_MAP)[:, [2, 0, 1]]
    torch.testing.assert_close(
        nst_loss(others, WIDE_TEACHER_MAP), nst_loss(STUDENT_MAP, WIDE_TEACHER_MAP)
    )


def test_a_dead_channel_is_no_accident():
    student = STUDENT_MAP.clone()
    student[:, 1] = 0
    learnt = gradient(lambda mine: nst_loss(mine, WIDE_TEACHER_MAP), student)
    assert torch.isfinite(learnt).all()
    assert learnt.abs().max() > 0


def test_the_larger_grid_is_averaged_down():
    coarse = F.adaptive_avg_pool2d(FINE_STUDENT_MAP, 6)
    torch.testing.assert_close(
        nst_loss(FINE_STUDENT_MAP, WIDE_TEACHER_MAP), nst_loss(coarse, WIDE_TEACHER_MAP)
    )


def test_stages_are_summed_less_those_of_one_cell():
    one = torch.ones(4, 3, 1, 1, dtype=torch.float64)
    student, teacher = (STUDENT_MAP, STUDENT_MAP, one), (WIDE_TEACHER_MAP, TEACHER_MAP, -one)
    expected = nst_loss(STUDENT_MAP, WIDE_TEACHER_MAP) + nst_loss(STUDENT_MAP, TEACHER_MAP)
    torch.testing.assert_close(score(NST(), outputs(*student), outputs(*teacher)), expected)


def test_maps_of_one_cell_are_refused():
    one = outputs(torch.ones(2, 4, 1, 1))
    with pytest.raises(UnmetNeeds, match="1 x 1"):
        NST().check(one, one, ABOUT)
