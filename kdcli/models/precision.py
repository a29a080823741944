"""Which precision suits a model on a device."""

import torch
from torch import nn


def has_depthwise(model: nn.Module) -> bool:
    """Whether a convolution has one group per channel: such models are slow in bf16 on CPUs.

    Measured on a processor that has bf16: a step of a mobile student takes 1.7 times as long as in
    fp32, while a resnet101's forward pass takes half as long (94 ms an image for 190).
    """
    return any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in model.modules())


def resolve_precision(wanted: str, model: nn.Module, device: torch.device) -> str:
    """`auto` by what device and model are, never by a timing: the same everywhere, every time.

    What it comes to is part of a run's digest, so a timing that falls out otherwise on a busy
    machine would train a finished model again. One of `fp32`, `bf16`.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cpu" and has_depthwise(model):
        return "fp32"
    return "bf16" if has_fast_bf16(device) else "fp32"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is worth it there: on a GPU that has it, on processors made for it (others
    emulate it). Apple's GPUs stay at fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    can = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
