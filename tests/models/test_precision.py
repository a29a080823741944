"""By what device and model are, never by a timing."""

import pytest
import timm
import torch
from torch import nn

from kdcli.models.precision import has_depthwise, resolve_precision


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenetv3_small_100", True),
        ("test_efficientnet", True),
        ("test_resnet", False),
        ("resnext50_32x4d", False),
        ("test_vit", False),
    ],
)
def test_depthwise_convolutions_are_seen(name, expected):
    with torch.device("meta"):
        assert has_depthwise(timm.create_model(name)) is expected


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_a_precision_that_was_asked_for_stays(wanted):
    assert resolve_precision(wanted, nn.Conv2d(4, 4, 3, groups=4), torch.device("cpu")) == wanted


@pytest.mark.parametrize(
    ("capabilities", "groups", "expected"),
    [
        ({"avx512_bf16": True}, 1, "bf16"),
        ({"amx_bf16": True}, 1, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": True}, 4, "fp32"),
        ({"avx2": True, "avx512_bf16": False}, 1, "fp32"),
        ({}, 1, "fp32"),
    ],
)
def test_auto_looks_at_processor_and_model(monkeypatch, capabilities, groups, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    model = nn.Conv2d(4, 4, 3, groups=groups)
    assert resolve_precision("auto", model, torch.device("cpu")) == expected
    assert resolve_precision("auto", model, torch.device("mps")) == "fp32"
