"""`kd export`: the student as ONNX, checked against PyTorch, with its costs."""

import json
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote

import numpy as np
import torch
from numpy.typing import NDArray

from kdcli import metrics
from kdcli.commands.adopt import alone
from kdcli.commands.folding import choose
from kdcli.commands.gates import Checked, Gate, check_gates, for_classes, parse_gates
from kdcli.commands.given import is_given, parse, read_labels
from kdcli.commands.loading import Loaded, load
from kdcli.commands.model_part import ModelPart
from kdcli.commands.parity import check_parity
from kdcli.commands.plan import is_gone, reopen_data
from kdcli.commands.report import Export, FoldPart, ParityPart, Report, WantedFold
from kdcli.commands.report_file import put_export, read_report, write_report
from kdcli.commands.side_by_side import THREADS, costs_side_by_side
from kdcli.cost import machine
from kdcli.data.loader import Store, open_store, plain_batches
from kdcli.data.source import Source, Split
from kdcli.errors import UsageError
from kdcli.files import atomic, lock, sha256
from kdcli.locate import Located, locate, other_model
from kdcli.models.heads import answering
from kdcli.models.tap import Tap
from kdcli.onnx_file import export_onnx, opset
from kdcli.progress import Progress

Floats = NDArray[np.float32]
SYNTHETIC_IMAGES = 32
FEW = 8
"""Images that folding is tried on."""
WAIT_SECONDS = 60.0
"""For another kd that is writing into the run's folder."""


@dataclass(frozen=True)
class Exported:
    """The file, the report as written, and the gates held against it."""

    path: Path
    place: Path
    """report.json."""
    report: Report
    gates: list[Checked]


@dataclass(frozen=True, eq=False)
class _Images:
    """What the file is tried on: (N, 3, H, W) as the model is fed, labels where they are known."""

    ready: Floats
    labels: NDArray[np.int64] | None


def export(
    thing: str | None,
    *,
    which: str | None = None,
    out: Path | None = None,
    model: str | None = None,
    classes: Path | None = None,
    size: int | None = None,
    fold: WantedFold = "auto",
    minima: tuple[str, ...] = (),
    maxima: tuple[str, ...] = (),
    progress: Progress,
) -> Exported:
    """Write the ONNX file of a run or of a lone model.pt, and keep it only if it agrees.

    `which` names another of the run's models than the one that ships; its record is its own. Of
    somebody else's weights, `model` is timm's name, `classes` a file of class names, `size` the
    pixels of a side that they are fed. Several heads become one by `fold`: where that costs next to
    no accuracy, where it is exact, or never.
    """
    gates = parse_gates(minima, maxima)
    located = _located(thing, out, model, classes, size, progress)
    if which:
        located = other_model(located, which)
    if located.said:
        progress.say(located.said)
    with progress.log(located.run.log) if located.run else nullcontext():
        return _exported(located, out, fold, gates, progress)


def _exported(
    located: Located,
    out: Path | None,
    wanted: WantedFold,
    gates: tuple[Gate, ...],
    progress: Progress,
) -> Exported:
    """Written, compared, timed, and reported."""
    student = load(located.model)
    gates = for_classes(gates, student.file.classes)
    folder = located.model.parent
    path, place = _path(out, located), located.report
    digest = sha256(located.model)
    earlier = read_report(place, digest)  # refused, if at all, before the work
    source = _source(located, progress)
    images = _images(located, student, source, progress)
    validation = partial(_store, located, source.validation, progress) if source else None
    tried = torch.from_numpy(images.ready[:FEW])
    student, fold = choose(student, wanted, tried, validation, progress)
    progress.say(f"exporting {student.args.words} to {path}")
    with atomic(path) as beside:
        parity, answers = _write(student, beside, images, fold, progress)
    compared = earlier.comparison.ensemble if earlier and earlier.comparison else None
    best = compared.best if compared else None
    models = costs_side_by_side(path, student, located.run, best, progress)
    entry = _entry(path, folder, images, parity, answers, models["student"])
    entry = entry.model_copy(update={"fold": fold})
    with lock(folder, wait=WAIT_SECONDS) if located.run else nullcontext():
        known = read_report(place, digest)
        name = folder.resolve().name
        report = known or Report(run=name, model_sha256=digest, role=located.role)
        report = put_export(report, models, entry, f"{machine()}, {THREADS} thread")
        report = write_report(place, report)
    return Exported(path, place, report, check_gates(gates, report))


def _located(
    thing: str | None,
    out: Path | None,
    model: str | None,
    classes: Path | None,
    size: int | None,
    progress: Progress,
) -> Located:
    """A run or a model.pt; somebody else's weights become one, beside the file to be written."""
    foreign = f"{model}={thing}" if model and thing else thing
    if foreign is None or not (model or is_given(foreign)):
        if model or classes or size:
            raise _unclear(thing)
        return locate(thing)
    given = parse(foreign, progress)
    beside = out if out and out.is_dir() else _path(out, Located(None, given.file)).parent
    labels = read_labels(classes) if classes else None
    return Located(None, alone(given, beside, size, labels, progress))


def _unclear(thing: str | None) -> UsageError:
    """Flags for somebody else's weights, without the weights or without whose they are."""
    if thing is None:
        return UsageError(
            "--model, --classes and --size are for somebody else's weights; no file is given",
            "kd export weights.pth --model resnet101",
        )
    return UsageError(
        f"{thing}: --model is missing; --classes and --size are for somebody else's weights",
        f"say whose they are: kd export {quote(thing)} --model NAME; a run or model.pt of kd takes "
        "neither flag",
    )


def _path(out: Path | None, located: Located) -> Path:
    """Where the file goes; a folder gets a model.onnx, another kind of file is left alone."""
    if out is None or out.is_dir():
        return (out or located.model.parent) / f"{located.stem}.onnx"
    if out.suffix != ".onnx":
        better = out.with_suffix(".onnx")
        raise UsageError(f"--out {out}: an ONNX file ends in .onnx", f"--out {better}")
    return out


def _source(located: Located, progress: Progress) -> Source | None:
    """The data of its run, where they are at hand."""
    if located.run is None or is_gone(located.run.spec.data):
        return None
    return reopen_data(located.run.spec.data, progress)


def _store(located: Located, split: Split, progress: Progress) -> Store:
    """A split of the run's data, at the run's size."""
    assert located.run is not None  # there is no source without it
    return open_store(split, int(located.run.spec.recipe.data.image_size), progress)


def _images(
    located: Located, student: Loaded, source: Source | None, progress: Progress
) -> _Images:
    """The test images of its run where they are at hand, else made-up ones, said so."""
    tap = Tap(student.module, student.args, "")
    if source is not None:
        store = _store(located, source.test, progress)
        batches = plain_batches(store, num_classes=student.args.num_classes)
        ready = torch.cat([tap.prepare(batch.images) for batch in batches])
        return _Images(ready.contiguous().numpy(), store.labels)
    lacking = "run beside" if located.run is None else "data for"
    progress.say(
        f"no {lacking} {located.model}: compared on {SYNTHETIC_IMAGES} made-up images; "
        "accuracy stays empty"
    )
    size = student.args.input_size
    noise = torch.Generator().manual_seed(0)
    made_up = torch.rand(SYNTHETIC_IMAGES, 3, size, size, generator=noise)
    return _Images(tap.prepare(made_up).contiguous().numpy(), None)


def _write(
    student: Loaded, beside: Path, images: _Images, fold: FoldPart | None, progress: Progress
) -> tuple[ParityPart, Floats]:
    """Export, and compare on every image; raises ParityError, and then it is not kept."""
    size = student.args.input_size
    whole = answering(student.module, student.args)
    export_onnx(whole, beside, input_size=(size, size), metadata=_metadata(student, fold))
    return check_parity(student, beside, images.ready, images.labels is None, progress)


def _metadata(student: Loaded, fold: FoldPart | None) -> dict[str, str]:
    """What a consumer of the file needs to know; all values are strings, lists are JSON."""
    args = student.args
    texts = {
        "kd.classes": json.dumps(student.file.classes, ensure_ascii=False),
        "kd.model": args.name,
        "kd.input_size": str(args.input_size),
        "kd.mean": json.dumps(args.mean),
        "kd.std": json.dumps(args.std),
        "kd.input": "float32 RGB, (pixel / 255 - mean) / std, NCHW",
        "kd.data": str(student.file.provenance.get("data", "")),
    }
    if args.exit is not None:
        texts["kd.exit"] = f"stage {args.exit}"
    if args.peers:
        texts["kd.fused"] = f"the last maps of {args.words}"
    if fold:
        how = "folded into one" if fold.folded else f"as one, the mean of their {args.aggregate}"
        texts["kd.fold"] = f"{fold.heads} heads {how}"
    # names that are not UTF-8: as JSON writes them
    return {key: text.encode("utf-8", "backslashreplace").decode() for key, text in texts.items()}


def _entry(
    path: Path, folder: Path, images: _Images, parity: ParityPart, answers: Floats, part: ModelPart
) -> Export:
    """The file as the report lists it; its path is relative where it lies in the run's folder."""
    inside = path.resolve().is_relative_to(folder.resolve())
    assert part.latency_ms is not None  # _costs has filled it
    return Export(
        path=path.resolve().relative_to(folder.resolve()).as_posix() if inside else str(path),
        sha256=sha256(path),
        opset=opset(path),
        bytes=path.stat().st_size,
        parity=parity,
        accuracy=None if images.labels is None else metrics.accuracy(answers, images.labels),
        latency_ms=part.latency_ms.onnxruntime,
    )
