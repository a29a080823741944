"""`kd export`: the student as ONNX files, checked against PyTorch, with their costs."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote

import torch

from kdcli import metrics
from kdcli.commands.adopt import alone
from kdcli.commands.folding import choose
from kdcli.commands.gates import Checked, Gate, check_gates, for_classes, parse_gates
from kdcli.commands.given import is_given, parse, read_labels
from kdcli.commands.loading import load
from kdcli.commands.model_part import Percentiles
from kdcli.commands.onnx_files import Made, make_all
from kdcli.commands.precision_part import WorthPart
from kdcli.commands.quantize import images_of, refuse
from kdcli.commands.report import Export, FoldPart, Report
from kdcli.commands.report_file import put_export, read_report, write_report
from kdcli.commands.samples import Samples, samples_of, source_of, store_of
from kdcli.commands.side_by_side import THREADS, costs_side_by_side
from kdcli.commands.wanted import Wanted
from kdcli.commands.worth import worth_of_all
from kdcli.cost import machine
from kdcli.errors import UsageError
from kdcli.files import lock, sha256
from kdcli.locate import Located, locate, other_model
from kdcli.onnx_file.read import opset
from kdcli.progress import Progress
from kdcli.recipe import Evaluate

ALONE = Wanted()
"""The fp32 file and nothing else."""
FEW = 8
"""Images that folding is tried on."""
WAIT_SECONDS = 60.0
"""For another kd that is writing into the run's folder."""


@dataclass(frozen=True)
class Exported:
    """The files, the report as written, and the gates held against it."""

    paths: list[Path]
    """fp32 first."""
    place: Path
    """report.json."""
    report: Report
    gates: list[Checked]


def export(
    thing: str | None,
    *,
    which: str | None = None,
    out: Path | None = None,
    model: str | None = None,
    classes: Path | None = None,
    size: int | None = None,
    wanted: Wanted = ALONE,
    minima: tuple[str, ...] = (),
    maxima: tuple[str, ...] = (),
    progress: Progress,
) -> Exported:
    """Write the ONNX file of a run or of a lone model.pt, and keep it only if it agrees.

    `which` names another of the run's models than the one that ships; its record is its own. Of
    somebody else's weights, `model` is timm's name, `classes` a file of class names, `size` the
    pixels of a side that they are fed.
    """
    gates = parse_gates(minima, maxima)
    located = _located(thing, out, model, classes, size, progress)
    if which:
        located = other_model(located, which)
    if located.said:
        progress.say(located.said)
    with progress.log(located.run.log) if located.run else nullcontext():
        return _exported(located, out, wanted, gates, progress)


def _exported(
    located: Located, out: Path | None, wanted: Wanted, gates: tuple[Gate, ...], progress: Progress
) -> Exported:
    """Written, compared, timed, and reported."""
    source = source_of(located, progress)
    refuse(wanted, located, source)
    student = load(located.model)
    gates = for_classes(gates, student.file.classes)
    path, place = _path(out, located), located.report
    digest = sha256(located.model)
    earlier = read_report(place, digest)  # refused, if at all, before the work
    samples = samples_of(located, student, source, progress)
    validation = partial(store_of, located, source.validation, progress) if source else None
    few = torch.from_numpy(samples.ready(next(samples.pixels(FEW))))
    student, fold = choose(student, wanted.fold, few, validation, progress)
    progress.say(f"exporting {student.args.words} to {path}")
    images = partial(images_of, located, student, source, progress) if source else None
    made = make_all(student, path, wanted, samples, fold, images, progress)
    compared = earlier.comparison.ensemble if earlier and earlier.comparison else None
    best = compared.best if compared else None
    files = {one.precision: one.path for one in made}
    costs = costs_side_by_side(files, student, located.run, best, progress)
    worth = worth_of_all(made, costs, samples.labels, _margin(located))
    entries = [
        _entry(one, located.folder, samples, fold, costs.files[one.precision], verdict)
        for one, verdict in zip(made, worth, strict=True)
    ]
    with lock(located.folder, wait=WAIT_SECONDS) if located.run else nullcontext():
        known = read_report(place, digest)
        name = located.folder.resolve().name
        report = known or Report(run=name, model_sha256=digest, role=located.role)
        report = put_export(report, costs.models, entries, f"{machine()}, {THREADS} thread")
        report = write_report(place, report)
    return Exported([one.path for one in made], place, report, check_gates(gates, report))


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
    beside = _path(out, Located(None, given.file)).parent if out else given.file.parent
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
    """Where the fp32 file goes; a folder gets a model.onnx, another kind of file is left alone."""
    if out is None or out.is_dir():
        return (out or located.exports) / f"{located.stem}.onnx"
    if out.suffix != ".onnx":
        better = out.with_suffix(".onnx")
        raise UsageError(f"--out {out}: an ONNX file ends in .onnx", f"--out {better}")
    return out


def _margin(located: Located) -> float:
    """The accuracy that counts as none lost."""
    return located.run.spec.recipe.evaluate.margin if located.run else Evaluate().margin


def _entry(
    made: Made,
    folder: Path,
    samples: Samples,
    fold: FoldPart | None,
    latency_ms: Percentiles,
    worth: WorthPart | None,
) -> Export:
    """The file as the report lists it; its path is relative where it lies in the run's folder."""
    path = made.path.resolve()
    inside = path.is_relative_to(folder.resolve())
    return Export(
        path=path.relative_to(folder.resolve()).as_posix() if inside else str(made.path),
        sha256=sha256(path),
        precision=made.precision,
        opset=opset(path),
        bytes=path.stat().st_size,
        parity=made.parity,
        accuracy=None if samples.labels is None else metrics.accuracy(made.answers, samples.labels),
        latency_ms=latency_ms,
        fold=fold,
        quantized=made.quantized,
        worth=worth,
    )
