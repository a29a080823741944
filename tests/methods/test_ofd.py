"""The overhaul of feature distillation on numbers."""

from dataclasses import replace

import pytest
import torch
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_MAP,
    TEACHER_MAP,
    TOLERANCE,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
    gradient,
)
from feature_pairs import ABOUT, built, outputs, score
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.methods.ofd import OFD, ofd_loss, ofd_margin

WEIGHT = torch.tensor([1, 0.5, 2], dtype=torch.float64)
BIAS = torch.tensor([0, 0.3, -1], dtype=torch.float64)


def _norm(weight=WEIGHT, bias=BIAS):
    norm = nn.BatchNorm2d(len(weight)).double()
    norm.weight.data, norm.bias.data = weight, bias
    return norm


def _pair(*preactivations):
    return outputs(*(p.relu() for p in preactivations), preactivations=preactivations)


def test_check_value_and_its_mean_over_images():
    found = float(ofd_loss(STUDENT_MAP, TEACHER_MAP, -0.3))
    assert abs(found - 249.3700593948) < TOLERANCE
    assert abs(found / 4 - 62.3425148487) < TOLERANCE


def test_check_values_of_the_margins():
    expected = torch.tensor([-0.797885, -0.307513, -2.018321], dtype=torch.float64)
    torch.testing.assert_close(ofd_margin(WEIGHT, BIAS), expected, rtol=0, atol=5e-7)
    torch.testing.assert_close(ofd_margin(-WEIGHT, BIAS), expected, rtol=0, atol=5e-7)


@pytest.mark.parametrize(("weight", "bias"), [(0.7, -0.4), (0.7, 1.9), (2.0, -9.0)])
def test_a_margin_is_the_mean_of_what_is_negative(weight, bias):
    x = torch.linspace(bias - 12 * weight, 0, 200_001, dtype=torch.float64)
    density = torch.exp(-((x - bias) / weight).square() / 2)
    mean = torch.trapezoid(x * density, x) / torch.trapezoid(density, x)
    found = ofd_margin(*torch.tensor([[weight], [bias]], dtype=torch.float64))
    torch.testing.assert_close(found[0], mean, rtol=1e-6, atol=0)


def test_margins_of_odd_channels():
    weight, bias = torch.tensor([0.5, 0.0, 0.0, 0.0]), torch.tensor([2.0, -1.0, 1.0, 0.0])
    expected = torch.tensor([-1.5, -1.0, 0.0, 0.0])
    torch.testing.assert_close(ofd_margin(weight, bias), expected)


def test_gradient_agrees_with_finite_differences():
    margin = torch.tensor([-0.3, -0.1, -0.7], dtype=torch.float64)
    assert agrees_with_finite_differences(
        lambda student: ofd_loss(student, TEACHER_MAP, margin), STUDENT_MAP
    )


def test_nothing_to_learn_from_oneself():
    assert float(ofd_loss(TEACHER_MAP, TEACHER_MAP, -0.3)) == 0
    learnt = gradient(lambda student: ofd_loss(student, TEACHER_MAP, -0.3), TEACHER_MAP)
    assert learnt.abs().max() == 0


@pytest.mark.parametrize(
    ("student", "teacher", "distance"),
    [(2, 1, 1), (-2, 1, 3), (-1, -0.1, 0), (0.5, -0.1, 0.6), (-0.2, -5, 0.1), (-0.4, -5, 0)],
)
def test_what_the_relu_would_cut_off_counts_from_above_only(student, teacher, distance):
    maps = torch.full((1, 1, 1, 1), student).double(), torch.full((1, 1, 1, 1), teacher).double()
    assert float(ofd_loss(*maps, -0.3)) == pytest.approx(distance**2)


def test_shallow_stages_weigh_half_of_the_next_and_images_are_averaged():
    student = _pair(STUDENT_MAP, STUDENT_MAP, FINE_STUDENT_MAP)
    teacher = _pair(TEACHER_MAP, TEACHER_MAP, TEACHER_MAP)
    about = replace(ABOUT, norms=(_norm(),) * 3)
    adapter = built(OFD(), student, teacher, about)
    coarse = nn.functional.adaptive_avg_pool2d(FINE_STUDENT_MAP, 6)
    maps = STUDENT_MAP, STUDENT_MAP, coarse
    stages = [
        ofd_loss(connector.regressor(m), TEACHER_MAP, ofd_margin(WEIGHT, BIAS)) / 4
        for connector, m in zip(adapter, maps, strict=True)
    ]
    expected = stages[0] / 4 + stages[1] / 2 + stages[2]
    torch.testing.assert_close(score(OFD(), student, teacher, adapter), expected)


def test_the_margins_are_those_of_the_teacher_and_not_learnt():
    about = replace(ABOUT, norms=(_norm(torch.ones(5), torch.zeros(5)),))
    adapter = built(OFD(), _pair(STUDENT_MAP), _pair(WIDE_TEACHER_MAP), about)
    torch.testing.assert_close(adapter[0].margin.float(), torch.full((5,), -0.797885))
    assert not any("margin" in name for name, _ in adapter.named_parameters())
    assert not any(isinstance(module, nn.ReLU) for module in adapter.modules())


def test_the_gradient_of_the_whole_method():
    teacher, about = _pair(TEACHER_MAP), replace(ABOUT, norms=(_norm(),))
    adapter = built(OFD(), _pair(STUDENT_MAP), teacher, about)
    assert agrees_with_finite_differences(
        lambda student: score(OFD(), _pair(student), teacher, adapter), STUDENT_MAP
    )


@pytest.mark.parametrize(
    ("norms", "which"),
    [
        ((_norm(), None, _norm(), None), "of 4 stages these do not: 2, 4"),
        (
            (_norm(), _norm(), _norm(), nn.BatchNorm2d(3, affine=False)),
            "of 4 stages these do not: 4",
        ),
        ((), "these do not: 1, 2, 3, 4"),
    ],
)
def test_stages_that_end_otherwise_are_refused_by_number(norms, which):
    four = _pair(*[TEACHER_MAP] * 4)
    with pytest.raises(UnmetNeeds, match=f"batch norm and a ReLU; .*{which}"):
        OFD().check(four, four, replace(ABOUT, norms=norms))
