"""What is made once for all tests and all workers, and what hardly takes its time in a test."""

import hashlib
import io
import os
import pickle
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of pytest-xdist; they do not share their fixtures."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(path: Path, make: Callable[[Path], object]) -> Path:
    """The file or folder `path`, which whoever comes first makes; the others wait for it."""
    done = path.with_name(f"{path.name}.done")
    with FileLock(f"{path}.lock"):
        if not done.exists():
            shutil.rmtree(path, ignore_errors=True)  # of a worker that died
            make(path)
            done.touch()
    return path


def hurry(patch: pytest.MonkeyPatch, memory: Path) -> None:
    """Rehearse two steps, time each model for a moment, measure the memory of one file alone; build
    no model on the meta device twice for the same question, convert none twice.

    None of it decides what a command does, only how long it takes and the times that it tells; but
    for weak teachers, who may teach (tests/training/test_near_chance.py has them refused).
    Nothing happens where torch was not imported: then no test is of that kind.
    """
    if "torch" not in sys.modules:
        return
    from kdcli.commands import distill
    from kdcli.deploy import cost_comparison, int8_candidates, onnx_export, side_by_side
    from kdcli.deploy.onnx_file import write
    from kdcli.evaluation import cost
    from kdcli.models import build, cards
    from kdcli.models.foreign import fitting
    from kdcli.plan import defaults, fitting_students, rehearsal
    from kdcli.training import loop, teachers

    if loop.REHEARSED == 2:  # in a process that was forked by one that hurries
        return
    patch.setattr(loop, "REHEARSED", 2)
    for module in (cost_comparison, int8_candidates, fitting_students):
        patch.setattr(module, "latency", hardly_timed)
    one_for_all = asked_once(onnx_export.peak_memory, key=lambda *file: "")
    patch.setattr(onnx_export, "peak_memory", one_for_all)
    # most teachers have learnt for a few steps: they are warned of, and go on
    patch.setattr(teachers, "needs_good_teachers", lambda spec: False)
    patch.setattr(rehearsal, "gc", SimpleNamespace(collect=lambda: 0))  # a full one takes 0.2 s
    patch.setattr(rehearsal, "TRIED_BYTES", 1_000_000)  # every test has a disk of its own
    patch.setattr(build, "_takes", asked_once(build._takes))
    meta = asked_once(build.build_meta)
    for module in (cards, cost, defaults, distill):
        patch.setattr(module, "build_meta", meta)
    patch.setattr(fitting, "_expected", asked_once(fitting._expected))
    patch.setattr(write, "_converted", remembered(write._converted, memory))
    of_any_weights = like_another(cost_comparison.export_onnx, memory)
    for module in (cost_comparison, side_by_side):
        patch.setattr(module, "export_onnx", of_any_weights)


def hardly_timed(calls: Mapping[Any, Callable[[], object]], **bounds: Any) -> Any:
    """Ten runs of each, whatever was asked for."""
    return {name: _in_ten_runs(call) for name, call in calls.items()}


def _in_ten_runs(call: Callable[[], object]) -> Any:
    from kdcli.core.latency import Latency, block_medians

    cold, *times = (_milliseconds(call) for _ in range(11))
    p50, p90, p99 = (float(share) for share in np.percentile(times, [50, 90, 99]))
    return Latency(p50, p90, p99, cold, len(times), block_medians(times))


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def asked_once(
    ask: Callable[..., Any], key: Callable[..., str] = lambda *question: repr(question)
) -> Callable[..., Any]:
    """`ask`, whose answers are kept: by what is written of the question, or another `key`."""
    known: dict[str, Any] = {}

    def answer(*question: Any) -> Any:
        if (name := key(*question)) not in known:
            known[name] = ask(*question)
        return known[name]

    return answer


def remembered(convert: Callable[..., Any], memory: Path) -> Callable[..., Any]:
    """`convert`, but what it made of the very same module, pickled, is read from `memory`."""
    import onnx

    def converted(module: Any, *how: Any) -> Any:
        module.eval()
        if (key := _key(module, how)) is None:
            return convert(module, *how)
        file = once(memory / key, lambda path: onnx.save(convert(module, *how), path))
        return onnx.load(file)

    return converted


def like_another(export: Callable[..., None], memory: Path) -> Callable[..., None]:
    """`export`, but of modules that are built alike only the first: they are as fast."""

    def exported(module: Any, path: Path, **how: Any) -> None:
        shapes = [(key, value.shape) for key, value in module.state_dict().items()]
        key = hashlib.sha256(f"{module} {shapes} {how}".encode()).hexdigest()
        shutil.copy(once(memory / f"like-{key}", lambda file: export(module, file, **how)), path)

    return exported


def _key(module: Any, how: tuple[Any, ...]) -> str | None:
    """None of what cannot be pickled: local classes and functions."""
    content = io.BytesIO()
    try:
        _Content(content).dump((module, how))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return hashlib.sha256(content.getvalue()).hexdigest()


class _Content(pickle.Pickler):
    """Tensors by their values: torch itself pickles addresses, too."""

    def reducer_override(self, thing: Any) -> Any:
        import torch

        if not isinstance(thing, torch.Tensor):
            return NotImplemented
        values = thing.detach().numpy()
        return bytes, (type(thing).__name__, str(values.dtype), values.shape, values.tobytes())
