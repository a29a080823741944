"""What the models of a run cost, timed side by side, in PyTorch and as ONNX files."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from kdcli.core.errors import UsageError
from kdcli.core.latency import THOROUGH, Bounds, Latency, latency, noise
from kdcli.core.progress import Progress, tell_long
from kdcli.core.text import ensemble_name, total
from kdcli.deploy.device import BENCH
from kdcli.deploy.onnx_file.external import size
from kdcli.deploy.onnx_file.pixels import with_pixels
from kdcli.deploy.onnx_file.read import load_whole
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx, write
from kdcli.deploy.outgoing import Outgoing
from kdcli.deploy.parity import as_function
from kdcli.evaluation.cost import architecture, costs
from kdcli.evaluation.generations import files_of_all
from kdcli.evaluation.participants import Member, cast_at_hand
from kdcli.models.heads import answering
from kdcli.models.loading import Loaded, load, read_args
from kdcli.report.choices import Precision, Protocol
from kdcli.report.model import LatencyMs, ModelPart, Percentiles
from kdcli.report.schema import Report
from kdcli.runs.baseline import controls_of
from kdcli.runs.find import find
from kdcli.runs.run import Run

THREADS = 1
"""Of the timings: what a phone or one request of a server has."""
PATIENCE_SECONDS = 300.0
"""For a process that opens a file and runs it once."""
_ALONE = """
import json, pathlib, sys
folder, file, threads = sys.argv[1:]
sys.path.insert(0, folder)
import bench
print(json.dumps(bench.measure(pathlib.Path(file), int(threads), 0.0)))
"""
Files = Counter[Path]
"""Of models that answer together: one model.pt of each kind, and how many are alike."""
AGAIN = "student again"
"""The student once more, its file in a session of its own: how far the two lie apart is the noise
that a speed-up must exceed."""
BOUNDS: dict[Protocol, Bounds] = {"quick": {}, "thorough": THOROUGH}
BARE = " alone"
"""Ends the name of a model's file without what stands in front of it."""
Times = dict[tuple[str, str], Latency]
"""By what runs it (`pytorch`, `onnxruntime`) and what it is."""
Calls = dict[tuple[str, str], Callable[[], object]]
"""The same, to be timed."""


@dataclass(frozen=True)
class Costs:
    """What was timed side by side."""

    models: dict[str, ModelPart]
    """By role: size, MACs, latency."""
    files: dict[Precision, Percentiles]
    noise: float
    """How far two timings of the very same file lie apart (`latency.noise`)."""
    noise_pytorch: float
    """The same of the student in PyTorch."""


def costs_side_by_side(
    files: Mapping[Precision, Path], outgoing: Outgoing, progress: Progress
) -> Costs:
    """Of every role at hand, and of each of the student's `files`; each architecture is timed
    once, all side by side, and fed with the same image: files of pixels with all that stands in
    front of their models, files of tensors without.

    An ensemble costs what its members cost together, and one preparation of the image.
    """
    student, wanted, side = outgoing.student, outgoing.wanted, outgoing.samples.image_size
    roles = (
        files_beside(outgoing.located.run, _best(outgoing.report)) if outgoing.located.run else {}
    )
    kinds = {file: architecture(read_args(file)[0]) for files in roles.values() for file in files}
    with TemporaryDirectory() as scratch:
        models, bare = {"student": student}, dict[str, Path]()
        exported = {"student": files["fp32"]} | dict(files.items())
        for role, file in ((role, file) for role, files in roles.items() for file in files):
            if (kind := kinds[file]) in models:
                continue
            models[kind], exported[kind] = load(file), Path(scratch) / f"{len(models)}.onnx"
            progress.say(f"exporting {role} {models[kind].args.words} for comparison")
            core = _export(models[kind], exported[kind], outgoing, progress)
            if core != exported[kind] and roles[role].total() > 1:
                bare[kind] = core
        calls = _calls(exported, models, bare, side)
        everyone = ", ".join(["student", *roles])
        progress.say(f"timing {everyone} side by side on {THREADS} thread ({wanted.latency})")
        times = times_of(calls, BOUNDS[wanted.latency], progress)
        times = _of_one_image(times, wanted.batch or 1)
        parts = {name: _part(model, exported[name], times, name) for name, model in models.items()}
        behind = {kind: _part(models[kind], bare[kind], times, kind, BARE) for kind in bare}
    together = {
        role: cost_of_all([parts[first], *(behind.get(kind, parts[kind]) for kind in others)])
        for role, (first, *others) in (
            (role, [kinds[file] for file in files.elements()]) for role, files in roles.items()
        )
    }
    of_files = {
        name: _percentiles(times["onnxruntime", "student" if name == "fp32" else name])
        for name in files
    }
    again = [noise(times[by, "student"], times[by, AGAIN]) for by in ("onnxruntime", "pytorch")]
    return Costs({"student": parts["student"]} | together, of_files, *again)


def _export(model: Loaded, path: Path, outgoing: Outgoing, progress: Progress) -> Path:
    """As the student was; where it cannot be in that opset, in torch's own, said so. The file of
    the model alone: another one where something stands in front of it."""
    args, wanted, samples = model.args, outgoing.wanted, outgoing.samples
    front = wanted.front(args, samples.image_size, samples.crop_pct)
    core = path.with_suffix(".core.onnx") if front else path

    def to_file(opset: int | None) -> None:
        sides = args.input_size, args.input_size
        module = answering(model.module, args)
        export_onnx(module, core, input_size=sides, batch=wanted.batch, opset=opset)
        if front:
            write(with_pixels(load_whole(core), front), path, {})

    try:
        to_file(wanted.opset)
    except UsageError as error:
        if wanted.opset is None:
            raise
        progress.warn(f"{args.words} is timed in torch's own opset: {error.what}")
        to_file(None)
    return core


def _calls(
    exported: Mapping[str, Path], models: Mapping[str, Loaded], bare: Mapping[str, Path], side: int
) -> Calls:
    """By what runs it and what it is: each file, each model, and the student twice; the same black
    image of `side` pixels for all."""
    files = {name: file for name, file in exported.items() if name != "fp32"}
    files |= {AGAIN: exported["student"]} | {f"{kind}{BARE}": file for kind, file in bare.items()}
    run = {("onnxruntime", name): _call(file, side) for name, file in files.items()}
    everyone = {**models} | {AGAIN: models["student"]}
    return run | {("pytorch", name): _asking(model) for name, model in everyone.items()}


def _of_one_image(times: Times, batch: int) -> Times:
    """Files that take `batch` images at a time: what a run took, shared among its images."""
    shared = {
        (by, name): time.shared(batch) for (by, name), time in times.items() if by == "onnxruntime"
    }
    return times | shared


def _best(report: Report) -> int | None:
    """The number of the best single teacher of an ensemble; None: nobody has measured them."""
    found = report.comparison.ensemble if report.comparison else None
    return found.best if found else None


def files_beside(run: Run, best: int | None) -> dict[str, Files]:
    """Those whose model.pt still lies where the run left it."""
    cast = cast_at_hand(run)
    found = {role: Counter([one.file]) for role, one in cast.assistants.items()}
    if cast.is_ensemble:
        found["ensemble"] = _alike(cast.teachers)
        best = cast.best if best is None else best
    elif len(cast.teachers) == len(cast.panel.weights):
        best = 0
    if single := [one.file for one in cast.teachers if one.number == best]:
        found = {"teacher": Counter(single)} | found
    if "teacher" in (kept := run.others()):  # it learnt with the student
        found.setdefault("teacher", Counter([kept["teacher"]]))
    if generations := files_of_all(run, cast):
        found["generations"] = Counter(generations)
    for role, spec in controls_of(run.spec).items():
        if (control := find(spec)) and control.finished:
            found[role] = Counter([control.model])
    return found


def _alike(members: Iterable[Member]) -> Files:
    """Members that differ in their seeds alone have one architecture: a thousand need no look."""
    first: dict[str, Path] = {}
    found: Files = Counter()
    for one in members:
        found[first.setdefault(one.ref.kind, one.file)] += 1
    return found


def _part(model: Loaded, file: Path, times: Times, name: str, bare: str = "") -> ModelPart:
    return ModelPart(
        name=model.args.words,
        file_bytes=size(file),
        latency_ms=LatencyMs(
            pytorch=_percentiles(times["pytorch", name], has_answered=True),
            onnxruntime=_percentiles(times["onnxruntime", name + bare]),
        ),
        **costs(model.args),
    )


def _percentiles(found: Latency, has_answered: bool = False) -> Percentiles:
    """A module that has answered before shows no cold run."""
    cold = None if has_answered else found.cold
    return Percentiles(p50=found.p50, p90=found.p90, p99=found.p99, cold=cold, runs=found.runs)


def cost_of_all(parts: list[ModelPart]) -> ModelPart:
    """What models cost that are asked one after another; adding up p90 is on the safe side."""
    if len(parts) == 1:
        return parts[0]
    times = [part.latency_ms for part in parts if part.latency_ms]
    return ModelPart(
        name=ensemble_name(part.name for part in parts),
        params=sum(part.params for part in parts),
        macs=total([part.macs for part in parts]),
        file_bytes=total([part.file_bytes for part in parts]),
        latency_ms=LatencyMs(
            pytorch=_sum(time.pytorch for time in times),
            onnxruntime=_sum(time.onnxruntime for time in times),
        ),
    )


def _sum(times: Iterable[Percentiles]) -> Percentiles:
    known = list(times)
    return Percentiles(
        p50=sum(t.p50 for t in known),
        p90=sum(t.p90 for t in known),
        p99=total([t.p99 for t in known]),
        cold=total([t.cold for t in known]),
        runs=known[0].runs,
    )


def _asking(model: Loaded) -> Callable[[], object]:
    """A call that takes one black image through PyTorch."""
    size = model.args.input_size
    return partial(as_function(model), np.zeros((1, 3, size, size), np.float32))


def _call(file: Path, side: int) -> Callable[[], object]:
    """A call that takes one black image, or a fixed batch of them, through onnxruntime."""
    session = open_session(file, THREADS)
    return partial(session, session.one_image(side))


def times_of(calls: Calls, bounds: Bounds, progress: Progress) -> Times:
    """All by turns, on `THREADS` cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    times: Times = {}
    try:
        for by in sorted({by for by, _ in calls}):  # each on its own: only there is compared
            these = {call: calls[call] for call in calls if call[0] == by}
            tell = partial(tell_long, progress, f"timing {len(these)} in {by}")
            times |= latency(these, **bounds, tell=tell)
        return times
    finally:
        torch.set_num_threads(before)


def peak_memory(file: Path, threads: int, progress: Progress) -> int | None:
    """Bytes that `bench.py` has at most while it opens and runs the file, above what it had before.

    None where the system does not say, or the process does not end well, which is said. In one
    process, that ends with this one: bench.py's own measures several files, each in its own.
    """
    line = [sys.executable, "-c", _ALONE, str(BENCH.parent), str(file), str(threads)]
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
        )
        peak: int | None = json.loads(done.stdout)["peak_memory_bytes"]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        progress.warn(f"{file}: its memory could not be measured: {error}")
        return None
    return peak
