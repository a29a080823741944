"""Comprehensive attention on numbers."""

import pytest
import torch
from check_values import STUDENT_MAP, TEACHER_MAP, TOLERANCE, agrees_with_finite_differences

from kdcli.methods.casd import casd_loss, input_wise_loss, layer_wise_loss
from kdcli.models.attention_maps import attention

AS_IS, FLIPPED = (attention(one.mean(1)) for one in (STUDENT_MAP, TEACHER_MAP))
TARGET = torch.maximum(AS_IS, FLIPPED.flip(-1))
COARSE = torch.nn.functional.avg_pool2d(AS_IS, 2)


def test_check_value():
    """As the authors' code has it: plain channel means, the sum over two views."""
    found = input_wise_loss([AS_IS], [TARGET]) + input_wise_loss([FLIPPED], [TARGET.flip(-1)])
    assert abs(float(found) - 0.0146960474) < TOLERANCE


def test_the_halves_are_means_over_layers():
    maps, targets = [AS_IS, FLIPPED], [TARGET, TARGET]
    squares = [(one - TARGET).square().mean() for one in maps]
    assert float(input_wise_loss(maps, targets)) == pytest.approx(float(sum(squares)) / 2)
    assert float(layer_wise_loss(maps, targets)) == pytest.approx(float(sum(squares)) / 2)
    assert float(casd_loss(maps, targets)) == pytest.approx(float(sum(squares)))


def test_layers_of_different_grids_meet_on_the_largest():
    finer = torch.nn.functional.interpolate(COARSE[:, None], (6, 6), mode="bilinear")[:, 0]
    on_it = layer_wise_loss([AS_IS, finer], [AS_IS, finer])
    torch.testing.assert_close(layer_wise_loss([AS_IS, COARSE], [AS_IS, COARSE]), on_it)


def test_nothing_to_learn_where_views_and_layers_agree():
    leaf = AS_IS.clone().requires_grad_()
    loss = casd_loss([leaf, leaf], [AS_IS, AS_IS])
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert loss.detach() == gradient.abs().max() == 0


def test_a_single_layer_has_no_other_to_look_at():
    assert casd_loss([AS_IS], [TARGET]) == input_wise_loss([AS_IS], [TARGET])


def test_gradient_agrees_with_finite_differences():
    assert agrees_with_finite_differences(
        lambda maps: casd_loss([maps, COARSE], [TARGET, COARSE]), AS_IS
    )
