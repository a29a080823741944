"""Where the arithmetic runs. Home of accelerate."""

import os
import re

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from kdcli.core.errors import MissingDevice, UsageError
from kdcli.core.openmp import usable_cores, wanted_threads
from kdcli.core.other_names import or_words
from kdcli.core.text import counted, did_you_mean
from kdcli.core.world import World, launched_as

KINDS = ("auto", "cpu", "cuda", "mps")
"""What --device takes."""


def open_device(wanted: str) -> torch.device:
    """`auto` is the first of cuda, mps, cpu that is there. Of several processes each takes a GPU of
    its own: its place in the list `wanted` (`cuda:0,cuda:1`), or by its number.

    Raises:
        MissingDevice: the one asked for is not there, or nothing of that name is.
        UsageError: there are fewer than processes, or $KD_THREADS is no number.
    """
    global _asked_for
    _asked_for = wanted
    world = launched_as()
    if not world.is_alone:
        wanted = _own(wanted, world)
    # where OMP_NUM_THREADS alone is set, torch has read it; it knows nothing of a container's share
    torch.set_num_threads(wanted_threads() or min(torch.get_num_threads(), usable_cores()))
    # fp32 means fp32: torch lets convolutions (not matrix products) round to TF32's 10 bits
    torch.backends.cudnn.allow_tf32 = False
    if wanted != "auto":
        _check_device(wanted)
        os.environ["ACCELERATE_TORCH_DEVICE"] = wanted  # of cuda:1, Accelerator has no argument
    device: torch.device = accelerator(wanted).device
    return device


_asked_for = "auto"


def asked_for() -> str:
    """The device that was named last; which one of several processes takes is its own matter."""
    return _asked_for


def accelerator(wanted: str = "auto") -> Accelerator:
    """Device, gradients and clipping; precision is the taps' own business.

    accelerate shares its state within a process: the first one settles the device for all later.
    """
    # buffers are the first process's, which ships (`processes.with_buffers_of_the_first`); what a
    # loss leaves out this time has no gradient to wait for
    several = DistributedDataParallelKwargs(broadcast_buffers=False, find_unused_parameters=True)
    return Accelerator(mixed_precision="no", cpu=wanted == "cpu" or None, kwargs_handlers=[several])


def describe_device(device: torch.device) -> str:
    """`cuda (NVIDIA L4, 23 GB)` or `cpu (8 threads)`, for people."""
    size = launched_as().size
    return _described(device) + (f" of the first of {size} processes" if size > 1 else "")


def _described(device: torch.device) -> str:
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{device} ({properties.name}, {properties.total_memory / 1e9:.0f} GB)"
    if device.type == "cpu":
        return f"cpu ({counted(torch.get_num_threads(), 'thread')})"
    return str(device)


def gpus() -> list[str]:
    """NVIDIA's and AMD's, as `$CUDA_VISIBLE_DEVICES` names them."""
    count = torch.cuda.device_count()
    said = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return said[:count] or [str(i) for i in range(count)]


def wait_for(device: torch.device) -> None:
    """Return when the device has done what it was given: timings need it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_bytes(device: torch.device) -> int:
    """The most that this process has held in the memory of an NVIDIA or AMD GPU; 0 elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


ALSO_CALLED = {"gpu": "cuda", "nvidia": "cuda", "rocm": "cuda", "hip": "cuda", "metal": "mps"}
"""What people call a device; AMD's are cuda in torch."""


def _near(wanted: str) -> str:
    """`; did you mean 'cuda:1'?` of GPU:1, gpu1, CUDA1 or 1."""
    word, number = re.fullmatch(r"(.*?):?(\d*)", wanted.lower(), re.DOTALL).groups()  # type: ignore[union-attr]
    kind = ALSO_CALLED.get(word, word) or "cuda"
    if kind not in KINDS:
        return did_you_mean(wanted, KINDS)
    return or_words([f"{kind}:{number}" if kind == "cuda" and number.strip("0") else kind])


def _own(wanted: str, world: World) -> str:
    """The device of this one of several processes."""
    named = wanted.split(",")
    if wanted == "auto" and not torch.cuda.is_available():
        return "cpu"
    if wanted in ("auto", "cuda"):
        named = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if wanted != "cpu" and len(named) < world.local_size:
        raise UsageError(
            f"{world.local_size} processes for {counted(len(named), 'device')}: each needs its own",
            "as many processes as GPUs, or --device cpu",
        )
    return named[0] if wanted == "cpu" else named[world.local_rank]


def _check_device(wanted: str) -> None:
    if wanted.partition(":")[0] not in KINDS[1:]:
        raise MissingDevice(
            f"--device {wanted}: no such device{_near(wanted)}",
            f"a device is one of {', '.join(KINDS)}, or cuda:1 for the second GPU",
        )
    try:  # the one sure way: a driver may be there and refuse
        torch.zeros(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise MissingDevice(
            f"--device {wanted}: not on this machine", f"here: {', '.join(there)}, or auto"
        ) from error
