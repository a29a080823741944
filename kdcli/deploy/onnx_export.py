"""A student's ONNX files are made, timed side by side, and put on record."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from kdcli.core.files import sha256
from kdcli.core.machine import machine, processor
from kdcli.core.progress import Progress
from kdcli.deploy.costs import THREADS, costs_side_by_side, peak_memory
from kdcli.deploy.onnx_file.external import size
from kdcli.deploy.onnx_file.read import opset
from kdcli.deploy.onnx_files import Made, make_all
from kdcli.deploy.precision_verdict import worth_of_all
from kdcli.deploy.quantize import Images
from kdcli.deploy.request import Wanted
from kdcli.deploy.samples import Samples
from kdcli.evaluation import metrics
from kdcli.models.loading import Loaded
from kdcli.recipe.schema import Evaluate
from kdcli.report.export import Export, FoldPart, listed
from kdcli.report.file import Conditions, put_export
from kdcli.report.schema import Report
from kdcli.runs.locate import Located


def export_as_onnx(
    student: Loaded,
    path: Path,
    wanted: Wanted,
    samples: Samples,
    fold: FoldPart | None,
    images: Callable[[], Images] | None,
    located: Located,
    known: Report,
    kept: ExitStack,
    progress: Progress,
) -> tuple[list[Path], Callable[[Report], Report]]:
    """The files, fp32 first, and what puts them on record; `known` is the record so far.

    They are timed before they take their places, which they do when `kept` closes (`make_all`).
    """
    made = make_all(student, path, wanted, samples, fold, images, kept, progress)
    compared = known.comparison.ensemble if known.comparison else None
    best = compared.best if compared else None
    files = {one.precision: one.path for one in made}
    costs = costs_side_by_side(
        files, student, located.run, best, wanted, samples.image_size, progress
    )
    worth = worth_of_all(made, costs, samples.labels, _margin(located))
    entries = [
        Export(
            **_of_file(one, located.folder, samples),
            input=wanted.input,
            resize=1 if wanted.resize else 0,
            batch=wanted.batch,
            latency_ms=costs.files[one.precision],
            memory_bytes=peak_memory(one.path, THREADS, progress),
            fold=fold,
            quantized=one.quantized,
            worth=verdict,
        )
        for one, verdict in zip(made, worth, strict=True)
    ]
    measured_on = f"{machine()}, {THREADS} thread"
    noise = costs.noise, costs.noise_pytorch
    conditions = Conditions(measured_on, processor(), THREADS, wanted.latency, *noise)
    put = partial(put_export, models=costs.models, exports=entries, conditions=conditions)
    return [one.place for one in made], put


def _margin(located: Located) -> float:
    """The accuracy that counts as none lost."""
    return located.run.spec.recipe.evaluate.margin if located.run else Evaluate().margin


def _of_file(made: Made, folder: Path, samples: Samples) -> dict[str, Any]:
    """What the file itself says; its path is relative where it lies in the run's folder."""
    path, labels = made.path, samples.labels
    return {
        "path": listed(made.place, folder),
        "sha256": sha256(path),
        "precision": made.precision,
        "opset": opset(path),
        "bytes": size(path),
        "parity": made.parity,
        "accuracy": None if labels is None else metrics.accuracy(made.answers, labels),
    }
