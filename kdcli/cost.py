"""What a model costs: parameters, multiply-accumulates, time."""

import gc
import os
import platform
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kdcli.machine import processor

Name = TypeVar("Name", bound=Hashable)


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


@dataclass(frozen=True)
class Latency:
    """Milliseconds per call: the median, and what nine of ten calls stay under."""

    p50: float
    p90: float
    runs: int


def latency(
    calls: Mapping[Name, Callable[[], object]],
    *,
    seconds: float = 2.0,
    min_runs: int = 30,
    max_runs: int = 500,
    warmup: int = 5,
) -> dict[Name, Latency]:
    """Time callables side by side, so that a machine that slows down slows all of them.

    Each round runs every callable once, starting with another one each time. Rounds go on for
    `seconds` per callable, but at least `min_runs` and at most `max_runs`; all get the same number.
    A callable must return only when its work is done (on CUDA: synchronise).
    """
    names = list(calls)
    for name in names:
        for _ in range(warmup):
            calls[name]()
    spent: dict[Name, list[float]] = {name: [] for name in names}
    end = perf_counter() + seconds * len(names)
    with _no_garbage_collection():
        for done in range(max_runs):
            if done >= min_runs and perf_counter() >= end:
                break
            for name in _rotated(names, done):
                spent[name].append(_milliseconds(calls[name]))
    return {name: _summary(times) for name, times in spent.items()}


def machine() -> str:
    """Where timings were taken, in one line: processor, logical cores, operating system."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def _milliseconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return (perf_counter() - start) * 1e3


def _summary(times: list[float]) -> Latency:
    p50, p90 = np.percentile(times, [50, 90])
    return Latency(float(p50), float(p90), len(times))


def _rotated(names: list[Name], by: int) -> list[Name]:
    by %= len(names) or 1
    return names[by:] + names[:by]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection takes tens of milliseconds and would be charged to whoever runs just then."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
