"""What the models of a run cost, timed side by side, in PyTorch and as ONNX files."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kdcli.commands.loading import Loaded, load
from kdcli.commands.measure import costs
from kdcli.commands.plan import baseline_of
from kdcli.commands.report import LatencyMs, ModelPart, Percentiles
from kdcli.cost import latency
from kdcli.models.heads import answering
from kdcli.onnx_file import export_onnx, open_session
from kdcli.progress import Progress
from kdcli.runs import Run, find

Floats = NDArray[np.float32]
THREADS = 1
"""Of the timings: what a phone or one request of a server has."""


def costs_side_by_side(
    path: Path, student: Loaded, run: Run | None, progress: Progress
) -> dict[str, ModelPart]:
    """Size, MACs and latency of every role at hand, timed side by side."""
    loaded = {"student": student} | {role: load(file) for role, file in _others(run).items()}
    files = {"student": path}
    with TemporaryDirectory() as scratch:
        for role, other in loaded.items():
            if role == "student":
                continue
            progress.say(f"exporting {role} {other.args.name} for comparison")
            files[role] = Path(scratch) / f"{role}.onnx"
            size = other.args.input_size
            whole = answering(other.module, other.args)
            export_onnx(whole, files[role], input_size=(size, size), metadata={})
        progress.say(f"timing {', '.join(loaded)} side by side on {THREADS} thread")
        times = _times(loaded, files)
        return {
            role: ModelPart(
                name=other.args.name,
                file_bytes=files[role].stat().st_size,
                latency_ms=times[role],
                **costs(other.args),
            )
            for role, other in loaded.items()
        }


def _others(run: Run | None) -> dict[str, Path]:
    """The teacher's and the baseline's model.pt, where they still lie where the run left them."""
    if run is None:
        return {}
    found = {role.removesuffix(".0"): need.path for role, need in run.needs().items()}
    if found and (baseline := find(baseline_of(run.spec))):
        found["baseline"] = baseline.model
    return {role: file for role, file in found.items() if file.is_file()}


def _times(loaded: dict[str, Loaded], files: dict[str, Path]) -> dict[str, LatencyMs]:
    """Batch 1, all roles in PyTorch and in onnxruntime by turns."""
    calls: dict[str, Callable[[], Any]] = {}
    for role, model in loaded.items():
        size = model.args.input_size
        image = np.zeros((1, 3, size, size), np.float32)
        calls[f"{role} pytorch"] = partial(as_function(model), image)
        calls[f"{role} onnxruntime"] = partial(open_session(files[role], THREADS), image)
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        found = {name: Percentiles(p50=t.p50, p90=t.p90) for name, t in latency(calls).items()}
    finally:
        torch.set_num_threads(before)
    return {
        role: LatencyMs(pytorch=found[f"{role} pytorch"], onnxruntime=found[f"{role} onnxruntime"])
        for role in loaded
    }


def as_function(model: Loaded, exact: bool = False) -> Callable[[Floats], Floats]:
    """The model in PyTorch as a function from images (B, 3, H, W) to logits (B, K).

    `exact`: computed in float64, and rounded at the end.
    """
    module = answering(model.module, model.args).eval()
    if exact:
        module = copy.deepcopy(module).double()

    def answer(images: Floats) -> Floats:
        with torch.inference_mode():
            ready = torch.from_numpy(images)
            logits: Floats = module(ready.double() if exact else ready).float().numpy()
        return logits

    return answer
