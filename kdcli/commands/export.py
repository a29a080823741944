"""`kd export`: the student as ONNX files, with their costs, or in another format; checked."""

from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from kdcli.core.disk_space import refuse_full
from kdcli.core.errors import UsageError
from kdcli.core.files import probe, sha256
from kdcli.core.links import refuse_link
from kdcli.core.lock import lock
from kdcli.core.progress import Progress
from kdcli.deploy.device_times import add_measured
from kdcli.deploy.export_folder import fill, refuse_strangers
from kdcli.deploy.folding import choose
from kdcli.deploy.formats import FORMATS, place_of_format
from kdcli.deploy.onnx_file.opsets import ensure_known
from kdcli.deploy.outgoing import Outgoing
from kdcli.deploy.quantization import images_of, refuse_without_images
from kdcli.deploy.request import Request
from kdcli.deploy.result import Exported
from kdcli.deploy.samples import samples_of, source_of, store_of
from kdcli.evaluation.page_facts.write import try_to_write_page
from kdcli.models.adopt import alone
from kdcli.models.given import is_given, parse, read_labels
from kdcli.models.loading import Loaded, load
from kdcli.report.file import WAIT_SECONDS, read_report, write_report
from kdcli.report.gates import Gate, check_gates, for_classes, parse_gates
from kdcli.report.schema import Report
from kdcli.runs.locate import Located, locate, other_model
from kdcli.runs.run import Run
from kdcli.training.licences import licences_of

FEW = 8
"""Images that folding is tried on."""


def export(request: Request, progress: Progress) -> Exported:
    """Write the files of a run or of a lone model.pt, and keep them only if they agree; or put on
    record what was measured of them."""
    if request.measured:
        measured = add_measured(request, progress)
        try_to_write_page(measured.place, measured.report, progress)
        return measured
    gates = parse_gates(request.minima, request.maxima)
    if request.wanted.opset is not None:
        ensure_known(request.wanted.opset)
    located = _located(request, progress)
    with progress.log(located.run.log) if located.run else nullcontext():
        outgoing, gates = _outgoing(located, request, gates, progress)
        paths, report = _written(outgoing, progress)
        if request.wanted.format == "onnx" and (request.out is None or request.out.is_dir()):
            made_from = f"run {_name(located)}" if located.run else located.model.name
            fill(outgoing.path.parent, located.folder, made_from, report, progress)
        try_to_write_page(located.report, report, progress, outgoing.source)
    checked = check_gates(gates, report)
    return Exported(outgoing.path, paths, located.report, report, checked, request.wanted.format)


def _located(request: Request, progress: Progress) -> Located:
    """A run or a model.pt; somebody else's weights become one, beside the file to be written."""
    thing, out = request.thing, request.out
    foreign = f"{request.model}={thing}" if request.model and thing else thing
    if foreign is None or not (request.model or is_given(foreign)):
        if request.model or request.classes or request.size:
            raise _unclear(thing)
        return locate(thing, progress, request.which)
    given = parse(foreign, progress)
    whole = Located(None, given.file)
    goes = place_of_format(request.wanted.format, out, whole) if out else given.file
    labels = read_labels(request.classes) if request.classes else None
    located = Located(None, alone(given, goes.parent, request.size, labels, progress))
    return other_model(located, request.which) if request.which else located


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


def _outgoing(
    located: Located, request: Request, gates: tuple[Gate, ...], progress: Progress
) -> tuple[Outgoing, tuple[Gate, ...]]:
    """The student as it leaves, and the gates of its classes; what can be refused is, before the
    work."""
    wanted, exporter = request.wanted, FORMATS[request.wanted.format]
    path = place_of_format(wanted.format, request.out, located)
    if request.out is None and path.parent == located.exports:  # nobody has named it
        refuse_link(path.parent)
    if request.out is not None and request.out.is_dir():
        refuse_strangers(path)
    _refuse_unwritable(path, located)
    source = source_of(located, progress, request.data)
    if wanted.int8 and source is None:
        refuse_without_images(located)
    student = _with_origin(load(located.model), located.run)
    gates = for_classes(gates, student.file.classes)
    exporter.refuse(student.args, path)
    report = _record(located, sha256(located.model))
    samples = samples_of(located, student, source, progress)
    few = torch.from_numpy(samples.ready(next(samples.pixels(FEW))))
    validation = partial(store_of, located, source.validation, progress) if source else None
    student, fold = choose(student, wanted.fold, few, validation, progress)
    progress.say(f"exporting {student.args.words} to {path}")
    images = partial(images_of, located, student, source, progress) if source else None
    return Outgoing(student, fold, wanted, path, located, samples, images, report, source), gates


def _refuse_unwritable(path: Path, located: Located) -> None:
    """The files, and the record beside the model."""
    probe(located.folder)
    if path.parent.resolve() != located.folder.resolve():
        probe(path.parent)
    size = located.model.stat().st_size
    refuse_full(path, size, "free some space, or give another place with --out")


def _written(outgoing: Outgoing, progress: Progress) -> tuple[list[Path], Report]:
    """The files in their places, and the record with them."""
    located = outgoing.located
    with ExitStack() as kept:
        written = FORMATS[outgoing.wanted.format].write(outgoing, kept, progress)
        with lock(located.folder, wait=WAIT_SECONDS) if located.run else nullcontext():
            kept.close()  # the files take their places
            report = written.put(_record(located, outgoing.report.model_sha256))
            licences = licences_of(outgoing.student.file)
            report = report.model_copy(update={"licences": licences})
            return written.paths, write_report(located.report, report)


def _record(located: Located, digest: str) -> Report:
    """As it stands; a new one where there is none of this very model.pt."""
    blank = Report(run=_name(located), model_sha256=digest, role=located.role)
    return read_report(located.report, digest) or blank


def _name(located: Located) -> str:
    """Of its folder."""
    return located.folder.resolve().name


def _with_origin(student: Loaded, run: Run | None) -> Loaded:
    """With all that can be told by now of where it comes from: its run may know more."""
    told: dict[str, Any] = {}
    if run:
        told = {"run": run.path.resolve().name, "recipe": run.spec.recipe_name}
    found = licences_of(student.file, run.spec if run else None)
    told["licences"] = [one.model_dump() for one in found.entries]
    provenance = student.file.provenance | told
    return replace(student, file=replace(student.file, provenance=provenance))
