"""What a model costs before it runs: parameters and MACs, once per architecture."""

import json
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kdcli.models.build import build_meta
from kdcli.models.model_args import ModelArgs


def costs(args: ModelArgs) -> dict[str, Any]:
    """Parameters and MACs, counted once for each architecture.

    MACs are None for a model that meta tensors cannot be sent through.
    """
    return dict(_costs(architecture(args)))


def architecture(args: ModelArgs) -> str:
    """All that shapes a model, as a key: who has the same costs the same, and is timed once."""
    return json.dumps(args.as_dict(), sort_keys=True)


@cache
def _costs(key: str) -> dict[str, Any]:
    args = ModelArgs.from_dict(json.loads(key))
    meta = build_meta(args)
    try:
        count = macs(meta, (args.input_size, args.input_size))
    except (NotImplementedError, RuntimeError):
        count = None
    return {"params": parameters(meta), "macs": count}


def parameters(module: nn.Module) -> int:
    """Number of weights, shared ones counted once; buffers are not weights."""
    return sum(parameter.numel() for parameter in module.parameters())


def macs(meta_module: nn.Module, input_size: tuple[int, int], channels: int = 3) -> int:
    """Multiply-accumulates of one forward pass on one image; FLOPs are twice that.

    Counts convolutions, matrix products and attention, as the literature does; not activations or
    norms. `meta_module` was built under `torch.device("meta")`, where shapes flow and no number is
    computed: resnet101 takes 0.1 s, and attention is counted in full, which CPU kernels may hide.
    It is left frozen and in eval mode: torch's counter stumbles over parameters that are passed on
    as inputs (cait) and want gradients. A module whose path depends on its values cannot run there:
    torch's NotImplementedError or RuntimeError comes through, and so does the one about mixed
    devices.
    """
    images = torch.empty(1, channels, *input_size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        meta_module.eval().requires_grad_(False)(images)
    return int(counter.get_total_flops()) // 2
