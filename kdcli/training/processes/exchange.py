"""Several processes, one training: each has its share of every batch, and all have the same
weights.

A process is a part of it only inside `together`; what the first one does besides (planning,
measuring, writing) it does alone.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from kdcli.core.errors import UsageError
from kdcli.core.records import Batch, Outputs
from kdcli.core.text import first_line
from kdcli.core.world import ALONE, World, launched_as

MEETING_SECONDS = 600.0
"""In which all have to come: a scheduler starts them minutes apart."""
LONGEST_SECONDS = 1800.0
"""Of one exchange, behind which somebody hangs. Who dies is noticed within a minute
(`company.py`)."""

MEETING = ("MASTER_ADDR", "MASTER_PORT")

_now: World = ALONE


def current() -> World:
    """Who takes part in what is computed here."""
    return _now


@contextmanager
def together() -> Iterator[World]:
    """Inside, all processes compute the same training: each of them has to come here."""
    global _now
    _now = launched_as()
    try:
        yield _now
    finally:
        _now = ALONE


def join() -> None:
    """Meet the others; returns when all are there.

    Raises:
        UsageError: nobody says where, or not all can come there.
    """
    world = launched_as()
    if world.is_alone or dist.is_initialized():
        return
    os.environ |= meeting(world) | {  # accelerate reads them, too
        "RANK": str(world.rank),
        "WORLD_SIZE": str(world.size),
        "LOCAL_RANK": str(world.local_rank),
        "LOCAL_WORLD_SIZE": str(world.local_size),
    }
    # numbers on a processor are exchanged by gloo, those on GPUs by NCCL
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        limit = timedelta(seconds=MEETING_SECONDS)
        store, rank, size = next(rendezvous("env://", world.rank, world.size, timeout=limit))
        dist.init_process_group(
            backend,
            store=store,
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=LONGEST_SECONDS),
        )
    except (RuntimeError, ValueError) as error:  # torch's own words, of any length
        place = ":".join(os.environ[name] for name in MEETING)
        raise UsageError(
            f"{world.size} processes cannot meet at {place} ({first_line(error)})",
            f"{' and '.join(MEETING)} say where: a host that all reach, and a free port of it",
        ) from error


def meeting(world: World) -> dict[str, str]:
    """Where they meet: as the launcher says; of Slurm, which says nothing, on the first node of the
    step, at a port of its own."""
    said = {name: os.environ[name] for name in MEETING if name in os.environ}
    if len(said) == len(MEETING):
        return said
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job.isdigit():
        raise UsageError(
            f"{world.size} processes, and no {' or '.join(MEETING)}: they cannot meet",
            "start all of them by one launcher: torchrun, accelerate launch, srun, kd --processes",
        )
    host = "127.0.0.1" if world.local_size == world.size else _first_node()
    step = int(os.environ.get("SLURM_STEP_ID", "0"))
    return {"MASTER_ADDR": host, "MASTER_PORT": str(20000 + (int(job) * 31 + step) % 20000)} | said


def _first_node() -> str:
    names = ["scontrol", "show", "hostnames", os.environ.get("SLURM_STEP_NODELIST", "")]
    try:
        return subprocess.run(names, check=True, capture_output=True, text=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise UsageError(
            "scontrol does not say which nodes these are", "set MASTER_ADDR to the first one"
        ) from error


class _Whole(torch.autograd.Function):
    """Everybody's rows, in the order in which one process would have them.

    All compute the same loss of them, so that a row's gradient is the same everywhere: each keeps
    that of its own rows, times the number of processes, over which gradients are averaged.
    """

    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        parts = [torch.empty_like(mine) for _ in range(_now.size)]
        dist.all_gather(parts, mine.contiguous())
        return torch.stack(parts, 1).flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0][_now.rank :: _now.size] * _now.size


def whole(mine: Tensor) -> Tensor:
    """(B, ...) of all processes from one's own (B / processes, ...) rows; gradients flow back."""
    if _now.is_alone:
        return mine
    if mine.dtype is torch.bool:
        return whole(mine.to(torch.uint8)).bool()
    found: Tensor = _Whole.apply(mine)
    return found


def whole_outputs(mine: Outputs, fields: Set[str]) -> Outputs:
    """What a model answered to everybody's images, in these fields; the others stay one's own."""
    if _now.is_alone:
        return mine
    found: dict[str, Any] = {name: getattr(mine, name) for name in fields}
    each: dict[str, Any] = {
        name: tuple(map(whole, one)) if isinstance(one, tuple) else whole(one)
        for name, one in found.items()
        if one is not None
    }
    return replace(mine, **each)


def whole_batch(mine: Batch) -> Batch:
    """Everybody's, but for the images."""
    if _now.is_alone:
        return mine
    return replace(
        mine,
        labels=whole(mine.labels),
        targets=whole(mine.targets),
        index=whole(mine.index),
        view=whole(mine.view),
    )


def summed(mine: Tensor) -> Tensor:
    """The sum over all processes; no gradient."""
    return summing(mine)()


def summing(mine: Tensor) -> Callable[[], Tensor]:
    """The same; the others are waited for only when it is called."""
    if _now.is_alone:
        return lambda: mine
    total = mine.detach().clone()
    exchange: Any = dist.all_reduce(total, async_op=True)

    def there() -> Tensor:
        exchange.wait()
        return total

    return there


def flat_mean(mine: Sequence[Tensor]) -> Tensor:
    """(N,) the mean over all processes of all these numbers, in one exchange: one for each tensor
    takes ten times as long; no gradient."""
    return summed(torch.cat([one.flatten() for one in mine])) / _now.size


def with_buffers_of_the_first(*modules: nn.Module) -> None:
    """What is counted and not learnt (the means of batch norms) becomes that of the first process,
    which ships."""
    if _now.is_alone:
        return
    for module in modules:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def shared_rows(n: int, block: int, ask: Callable[[slice], np.ndarray]) -> np.ndarray:
    """(n, ...) float32, of which each process asks for some whole blocks of rows: as if one had
    asked for all."""
    if _now.is_alone:
        return ask(slice(0, n))
    blocks = -(-n // block)
    ends = [min(n, block * (blocks * i // _now.size)) for i in range(_now.size + 1)]
    first, last = ends[_now.rank : _now.rank + 2]
    parts: list[Any] = [None] * _now.size
    dist.all_gather_object(parts, ask(slice(first, last)) if first < last else None)
    return np.concatenate([part for part in parts if part is not None])
