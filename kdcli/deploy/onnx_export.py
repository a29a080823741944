"""A student's ONNX files are made, timed side by side, and put on record."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from kdcli.core.files import sha256
from kdcli.core.machine import machine, processor
from kdcli.core.progress import Progress
from kdcli.deploy.cost_comparison import THREADS, costs_side_by_side, peak_memory
from kdcli.deploy.onnx_file.external import size
from kdcli.deploy.onnx_file.read import opset
from kdcli.deploy.onnx_files import Made, make_all
from kdcli.deploy.outgoing import Outgoing
from kdcli.deploy.precision_verdict import worth_of_all
from kdcli.deploy.result import Written
from kdcli.deploy.samples import Samples
from kdcli.evaluation import metrics
from kdcli.recipe.schema import Evaluate
from kdcli.report.export import Export, listed
from kdcli.report.file import Conditions, put_export
from kdcli.runs.locate import Located


def export_as_onnx(outgoing: Outgoing, kept: ExitStack, progress: Progress) -> Written:
    """The files are timed before they take their places, which they do when `kept` closes
    (`make_all`)."""
    wanted = outgoing.wanted
    made = make_all(outgoing, kept, progress)
    costs = costs_side_by_side({one.precision: one.path for one in made}, outgoing, progress)
    worth = worth_of_all(made, costs, outgoing.samples.labels, _margin(outgoing.located))
    entries = [
        Export(
            **_of_file(one, outgoing.located.folder, outgoing.samples),
            input=wanted.input,
            resize=1 if wanted.resize else 0,
            batch=wanted.batch,
            latency_ms=costs.files[one.precision],
            memory_bytes=peak_memory(one.path, THREADS, progress),
            fold=outgoing.fold,
            quantized=one.quantized,
            worth=verdict,
        )
        for one, verdict in zip(made, worth, strict=True)
    ]
    measured_on = f"{machine()}, {THREADS} thread"
    noise = costs.noise, costs.noise_pytorch
    conditions = Conditions(measured_on, processor(), THREADS, wanted.latency, *noise)
    put = partial(put_export, models=costs.models, exports=entries, conditions=conditions)
    return Written([one.place for one in made], put)


def _margin(located: Located) -> float:
    """The accuracy that counts as none lost, as a fraction: the run's own, else the usual."""
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
