"""Hints on numbers."""

from dataclasses import replace

import pytest
import torch
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_MAP,
    TEACHER_MAP,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
    gradient,
)
from feature_pairs import ABOUT, ONE_BY_ONE, built, outputs, score
from pydantic import ValidationError
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.methods.fitnet import FitNet, fitnet_loss

RECTIFIED = TEACHER_MAP.relu()


def test_the_mean_of_squared_differences():
    threes, ones = torch.full((2, 5, 4, 4), 3.0), torch.ones(2, 5, 4, 4)
    assert float(fitnet_loss(threes, ones)) == 4


@pytest.mark.parametrize("teacher", [TEACHER_MAP, WIDE_TEACHER_MAP, RECTIFIED])
def test_gradient_agrees_with_finite_differences(teacher):
    method, theirs = FitNet(), outputs(teacher)
    adapter = built(method, outputs(STUDENT_MAP), theirs)
    assert agrees_with_finite_differences(
        lambda student: score(method, outputs(student), theirs, adapter), STUDENT_MAP
    )


@pytest.mark.parametrize("teacher", [TEACHER_MAP, RECTIFIED])
def test_nothing_to_learn_from_oneself(teacher):
    def loss(student):
        return score(FitNet(), outputs(student), outputs(teacher))

    assert float(loss(teacher)) == 0
    assert gradient(loss, teacher).abs().max() == 0


@pytest.mark.parametrize(("stages", "middle"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
def test_the_hint_is_the_middle_stage(stages, middle):
    def loss(differs):
        students = [RECTIFIED + (i == differs) for i in range(stages)]
        return float(score(FitNet(), outputs(*students), outputs(*[RECTIFIED] * stages)))

    assert [i for i in range(stages) if loss(i) > 0] == [middle]
    assert loss(middle) == pytest.approx(1)


def test_every_stage_may_be_a_hint():
    student = outputs(RECTIFIED + 1, RECTIFIED + 2, RECTIFIED)
    teacher = outputs(RECTIFIED, RECTIFIED, RECTIFIED)
    assert float(score(FitNet(layers="all"), student, teacher)) == pytest.approx(1 + 4)


@pytest.mark.parametrize("student", [STUDENT_MAP, FINE_STUDENT_MAP])
def test_a_signed_teacher_is_brought_to_one_scale(student):
    def loss(scale, **options):
        torch.manual_seed(0)
        teacher = outputs(scale * WIDE_TEACHER_MAP + scale / 2)
        return score(FitNet(**options), outputs(student), teacher)

    torch.testing.assert_close(loss(100), loss(10), rtol=1e-4, atol=0)
    torch.testing.assert_close(loss(10, standardize=True), loss(10))
    assert loss(100, standardize=False) > 50 * loss(10, standardize=False)


def test_a_rectified_teacher_is_taken_as_it_is():
    student = outputs(STUDENT_MAP)
    once, twice = (score(FitNet(), student, outputs(k * RECTIFIED)) for k in (1, 2))
    assert abs(float(twice - once)) > 0.1
    once, twice = (score(FitNet(standardize=True), student, outputs(k * RECTIFIED)) for k in (1, 2))
    torch.testing.assert_close(once, twice, rtol=1e-3, atol=0)


@pytest.mark.parametrize(("standardize", "rectifies"), [("auto", True), (True, False)])
def test_a_rectifier_only_where_the_target_is_never_negative(standardize, rectifies):
    teacher = outputs(WIDE_TEACHER_MAP.relu())
    adapter = built(FitNet(standardize=standardize), outputs(STUDENT_MAP), teacher)
    assert any(isinstance(module, nn.ReLU) for module in adapter.modules()) == rectifies


def test_maps_of_one_cell_are_hints_too():
    student, teacher = outputs(STUDENT_MAP[..., :1, :1]), outputs(WIDE_TEACHER_MAP[..., :1, :1])
    assert score(FitNet(), student, teacher) > 0
    with pytest.raises(UnmetNeeds, match="one image of one cell"):
        FitNet().check(student, teacher, ONE_BY_ONE)
    FitNet().check(outputs(STUDENT_MAP), outputs(WIDE_TEACHER_MAP), ONE_BY_ONE)


def test_the_map_learns_on_both_sides_of_the_regressor():
    student, teacher = STUDENT_MAP.clone().requires_grad_(), outputs(WIDE_TEACHER_MAP)
    adapter = built(FitNet(), outputs(student), teacher, ABOUT)
    score(FitNet(), outputs(student), teacher, adapter).backward()
    assert student.grad.abs().max() > 0
    assert all(parameter.grad.abs().max() > 0 for parameter in adapter.parameters())


def test_other_channels_without_an_adapter_are_refused():
    about = replace(ABOUT, adapter="none")
    with pytest.raises(UnmetNeeds, match=r"3 channels .* 5"):
        built(FitNet(), outputs(STUDENT_MAP), outputs(WIDE_TEACHER_MAP), about)


@pytest.mark.parametrize("wrong", [{"layers": "first"}, {"standardize": "yes"}])
def test_other_words_are_refused(wrong):
    with pytest.raises(ValidationError):
        FitNet(**wrong)
