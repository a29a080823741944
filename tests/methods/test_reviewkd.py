"""Knowledge review on numbers."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    FINE_STUDENT_MAP,
    STUDENT_EMBEDDING,
    STUDENT_MAP,
    TEACHER_MAP,
    TOLERANCE,
    WIDE_TEACHER_EMBEDDING,
    WIDE_TEACHER_MAP,
    agrees_with_finite_differences,
    gradient,
)
from feature_pairs import ONE_BY_ONE, built, outputs, score

from kdcli.core.errors import UnmetNeeds
from kdcli.methods.reviewkd import Review, ReviewKD, hcl_loss

TEACHER = outputs(WIDE_TEACHER_MAP, TEACHER_MAP[..., :3, :3], embedding=WIDE_TEACHER_EMBEDDING)


def _student(first=STUDENT_MAP, second=STUDENT_MAP[..., :3, :3], embedding=STUDENT_EMBEDDING):
    return outputs(first, second, embedding=embedding)


def test_check_value():
    assert abs(float(hcl_loss((STUDENT_MAP,), (TEACHER_MAP,))) - 0.6910034079) < TOLERANCE


@pytest.mark.parametrize(
    ("grid", "sides"), [((8, 8), [4, 2, 1]), ((4, 4), [2, 1]), ((2, 5), [1]), ((1, 1), [])]
)
def test_coarser_grids_weigh_half_of_the_finer(grid, sides):
    student, teacher = (f[..., : grid[0], : grid[1]] for f in (FINE_STUDENT_MAP, -FINE_STUDENT_MAP))
    terms = [F.mse_loss(student, teacher)]
    for side in sides:
        coarse = [F.adaptive_avg_pool2d(f, side) for f in (student, teacher)]
        terms.append(F.mse_loss(*coarse) / 2 ** len(terms))
    expected = sum(terms) / (2 - 0.5 ** len(sides))
    torch.testing.assert_close(hcl_loss((student,), (teacher,)), expected)


def test_levels_are_summed_each_on_the_smaller_grid():
    coarse = F.adaptive_avg_pool2d(FINE_STUDENT_MAP, 6)
    both = hcl_loss((FINE_STUDENT_MAP, STUDENT_MAP), (TEACHER_MAP, TEACHER_MAP))
    expected = hcl_loss((coarse,), (TEACHER_MAP,)) + hcl_loss((STUDENT_MAP,), (TEACHER_MAP,))
    torch.testing.assert_close(both, expected)


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda student: hcl_loss((student,), (TEACHER_MAP,)), STUDENT_MAP
    )


def test_nothing_to_learn_from_oneself():
    assert float(hcl_loss((TEACHER_MAP,), (TEACHER_MAP,))) == 0
    learnt = gradient(lambda student: hcl_loss((student,), (TEACHER_MAP,)), TEACHER_MAP)
    assert learnt.abs().max() == 0


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_of_the_whole_method(training):
    adapter = built(ReviewKD(), _student(), TEACHER).train(training)
    small = STUDENT_MAP[..., :2, :2].clone()
    for student in (lambda x: _student(first=x), lambda x: _student(second=x)):
        assert agrees_with_finite_differences(
            lambda mine, student=student: score(ReviewKD(), student(mine), TEACHER, adapter), small
        )


def test_a_level_is_answered_with_all_deeper_ones():
    review = built(ReviewKD(), _student(), TEACHER)
    first, second, third = (
        level.clone().requires_grad_()
        for level in (STUDENT_MAP, STUDENT_MAP[..., :3, :3], STUDENT_EMBEDDING[:, :, None, None])
    )
    answers = review((first, second, third))
    assert [tuple(a.shape[1:]) for a in answers] == [(5, 6, 6), (3, 3, 3), (7, 1, 1)]
    reached = [
        [
            grad is not None and bool(grad.abs().max() > 0)
            for grad in torch.autograd.grad(
                answer.square().sum(), (first, second, third), retain_graph=True, allow_unused=True
            )
        ]
        for answer in answers
    ]
    assert reached == [[True, True, True], [False, True, True], [False, False, True]]


def test_the_gates_mix_a_level_with_the_deeper_one():
    review = Review([2, 3], [4, 4]).double().eval()
    shallow, deep = review.fusions
    with torch.no_grad():
        shallow.gates[0].weight.zero_()
        shallow.gates[0].bias.copy_(torch.tensor([-100.0, 100.0]))
        levels = STUDENT_MAP[:, :2], STUDENT_MAP[..., :2, :2]
        first, _ = review(levels)
        handed_on = F.interpolate(deep(levels[1], None)[1], (6, 6), mode="nearest")
        torch.testing.assert_close(first, shallow.outwards(handed_on))


@pytest.mark.parametrize(("width", "middle"), [(5, 5), (600, 512)])
def test_the_middle_is_as_wide_as_the_embedding_up_to_512(width, middle):
    review = Review([3, width], [4, 4])
    assert all(fusion.inwards[0].out_channels == middle for fusion in review.fusions)
    assert review.fusions[0].gates is not None
    assert review.fusions[1].gates is None


def test_each_level_is_fused_on_the_smaller_grid():
    fine, coarse = FINE_STUDENT_MAP, F.adaptive_avg_pool2d(FINE_STUDENT_MAP, 6)
    adapter = built(ReviewKD(), _student(), TEACHER)
    losses = [score(ReviewKD(), _student(first=m), TEACHER, adapter) for m in (fine, coarse)]
    torch.testing.assert_close(*losses)


def test_single_images_are_refused():
    with pytest.raises(UnmetNeeds, match="one image of one cell"):
        ReviewKD().check(_student(), TEACHER, ONE_BY_ONE)
