"""Channels last; but strided 1x1 convolutions of few channels, where PyTorch crashes, as usual."""

import timm
import torch
from torch import nn

from kdcli.models.build import build
from kdcli.models.memory_format import channels_last
from kdcli.models.model_args import ModelArgs

LAST = torch.channels_last


def seen_by(module, images):
    """How each convolution's input is laid out: whether its channels come first."""
    found = {}
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(
                lambda _, inputs, __, name=name: found.update({name: inputs[0].is_contiguous()})
            )
    module(images)
    return found


def test_few_channels_are_given_as_usual_to_a_strided_1x1_convolution():
    module = build(ModelArgs("repvgg_a0", 5, 64)).eval()
    images = torch.rand(2, 3, 64, 64).contiguous(memory_format=LAST)
    seen = seen_by(module, images)
    assert seen["stem.conv_1x1.conv"]
    assert not seen["stem.conv_kxk.conv"]
    assert not seen["stages.1.0.conv_1x1.conv"]  # enough channels


def test_the_answer_stays_the_same():
    plain = timm.create_model("repvgg_a0", num_classes=5).eval()
    images = torch.rand(2, 3, 64, 64)
    expected = plain(images)
    found = channels_last(plain)(images.contiguous(memory_format=LAST))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_backward_pass_at_224_pixels_leaves_the_heap_alone():
    """In the failing layout this crashed the process."""
    layer = channels_last(nn.Sequential(nn.Conv2d(3, 48, 1, 2, bias=False)))
    images = torch.rand(4, 3, 224, 224).contiguous(memory_format=LAST)
    for _ in range(5):
        layer(images).sum().backward()
    assert torch.isfinite(layer[0].weight.grad).all()
