"""What is made once for all tests and all workers, and what hardly takes its time in a test."""

import hashlib
import io
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

Patch = pytest.MonkeyPatch


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of pytest-xdist; they do not share their fixtures."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, which whoever comes first has made; the others wait until it is whole."""
    done = folder.with_name(f"{folder.name}.done")
    with FileLock(f"{folder}.lock"):
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def hurry(patch: Patch, memory: Path) -> None:
    """Rehearse one step, time each model for a moment, and convert no module to ONNX twice.

    None of it decides what a command does, only how long it takes and the times that it tells.
    Nothing happens where torch was not imported: then no test is of that kind.
    """
    if "torch" not in sys.modules:
        return
    from kdcli.deploy import cost_comparison, int8_candidates
    from kdcli.deploy.onnx_file import write
    from kdcli.plan import fitting_students, rehearsal
    from kdcli.training import loop

    for module in (loop, rehearsal):
        patch.setattr(module, "REHEARSED", 1)
    for module in (cost_comparison, int8_candidates, fitting_students):
        patch.setattr(module, "latency", hardly_timed)
    patch.setattr(write, "_converted", remembered(write._converted, memory))


def as_shipped(patch: Patch) -> None:
    """Undo `hurry` for whoever is about times."""
    from kdcli.core.latency import latency
    from kdcli.deploy import cost_comparison, int8_candidates
    from kdcli.plan import fitting_students, rehearsal
    from kdcli.training import loop

    for module in (loop, rehearsal):
        patch.setattr(module, "REHEARSED", 20)
    for module in (cost_comparison, int8_candidates, fitting_students):
        patch.setattr(module, "latency", latency)


def hardly_timed(calls: Mapping[Any, Callable[[], object]], **bounds: Any) -> Any:
    """A round of each, whatever was asked for."""
    from kdcli.core.latency import Burst, latency

    return latency(calls, seconds=0, min_runs=3, max_runs=3, burst=Burst(1, 3))


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
