"""Any models and exported files, timed by turns in onnxruntime: whatever their runs were."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from kdcli.core.progress import Progress
from kdcli.deploy.cost_comparison import BOUNDS, THREADS, Calls, times_of
from kdcli.deploy.onnx_file.external import size
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.models.heads import answering
from kdcli.models.loading import load

SIDE = 224
"""Pixels of a side, for files that take images of any size."""


def bytes_and_milliseconds(
    files: Mapping[str, Path], progress: Progress
) -> dict[str, tuple[int, float]]:
    """Of each model.pt (its fp32 ONNX file, made for that) or ONNX file: its bytes, and the median
    of one image, one thread."""
    with TemporaryDirectory(prefix="kd-") as scratch:
        exported = {
            name: file if file.suffix == ".onnx" else _exported(file, Path(scratch) / f"{i}.onnx")
            for i, (name, file) in enumerate(files.items())
        }
        sessions = {name: open_session(file, THREADS) for name, file in exported.items()}
        calls: Calls = {
            ("onnxruntime", name): partial(session, session.one_image(SIDE))
            for name, session in sessions.items()
        }
        times = times_of(calls, BOUNDS["quick"], progress)
        images = {name: session.fixed or 1 for name, session in sessions.items()}
        return {
            name: (size(file), times["onnxruntime", name].p50 / images[name])
            for name, file in exported.items()
        }


def _exported(model: Path, place: Path) -> Path:
    loaded = load(model)
    side = loaded.args.input_size
    export_onnx(answering(loaded.module, loaded.args), place, input_size=(side, side))
    return place
