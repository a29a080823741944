"""Which precision suits a model on a device."""

import torch
from torch import nn


def has_depthwise(model: nn.Module) -> bool:
    """Whether a convolution has one group per channel: such models are slow in bf16 on CPUs."""
    return any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in model.modules())


def resolve_precision(wanted: str, model: nn.Module, device: torch.device) -> str:
    """`auto` by what device and model are, never by a timing: the same everywhere, every time."""
    if wanted != "auto":
        return wanted
    if device.type == "cpu" and has_depthwise(model):
        return "fp32"
    return "bf16" if has_fast_bf16(device) else "fp32"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is worth it there: on a GPU that has it, on processors made for it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    can = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
