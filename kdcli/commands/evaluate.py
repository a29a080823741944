"""`kd evaluate`: student against teacher and an equal-size baseline, on the test images."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kdcli import metrics, per_class
from kdcli.commands.cast import find_cast
from kdcli.commands.gates import Checked, check_gates, for_classes, parse_gates
from kdcli.commands.measure import Measured, beside_teacher, measure, range_of
from kdcli.commands.plan import baseline_of, reopen_data, with_seed
from kdcli.commands.report import ClassLostMost, Comparison, DataPart, Report
from kdcli.commands.report_file import put_evaluation, read_report, write_report
from kdcli.commands.train import ensure
from kdcli.commands.verdict import notes, notes_on_classes, sentence
from kdcli.data.loader import Store, open_store
from kdcli.data.source import Source
from kdcli.devices import open_device
from kdcli.errors import UsageError
from kdcli.files import atomic, lock, sha256
from kdcli.progress import Progress
from kdcli.recipe import Evaluate
from kdcli.runs import Run, find, locate

WAIT_SECONDS = 60.0
"""For another kd that is writing into the run's folder: what was measured is not thrown away."""


@dataclass(frozen=True)
class Evaluated:
    """The report as written, and the gates held against it."""

    run: Run
    report: Report
    gates: list[Checked]


def evaluate(
    thing: str | None,
    *,
    seeds: int = 1,
    minima: tuple[str, ...] = (),
    maxima: tuple[str, ...] = (),
    device: str = "auto",
    progress: Progress,
) -> Evaluated:
    """Measure a finished run on test; further seeds and baselines are trained where missing."""
    gates = parse_gates(minima, maxima)
    place = open_device(device)
    run = _find_run(thing, progress)
    with progress.log(run.log) as write:
        source = reopen_data(run.spec.data, progress)
        gates = for_classes(gates, source.classes)
        report = _measured(run, source, seeds, place, progress)
        write(report.verdict or "")
    return Evaluated(run, report, check_gates(gates, report))


def _measured(
    run: Run, source: Source, seeds: int, place: torch.device, progress: Progress
) -> Report:
    """Everyone measured, and written down."""
    spec = run.spec
    test = open_store(source.test, int(spec.recipe.data.image_size), progress)
    students = _students(run, seeds, source, place, progress)
    measured = {"student": measure([s.model for s in students], test, place)}
    if spec.teachers:
        cast = find_cast(run, source, place, progress)
        baselines = [_baseline(s, source, place, progress) for s in students]
        measured["teacher"] = measure([cast.teachers[0].file], test, place)
        measured["baseline"] = measure([b.model for b in baselines], test, place)
        measured = {k: beside_teacher(m, measured["teacher"]) for k, m in measured.items()}
    with lock(run.path, wait=WAIT_SECONDS):
        _keep_predictions(run, test, source, measured)
        return _report(run, source, test, measured)


def _find_run(thing: str | None, progress: Progress) -> Run:
    located = locate(thing)
    if located.said:
        progress.say(located.said)
    if located.run is None:
        raise UsageError(
            f"{located.model}: a model.pt without its run folder; a comparison needs the run",
            "give the run folder; kd export works on a lone model.pt",
        )
    return located.run


def _students(
    run: Run, seeds: int, source: Source, device: torch.device, progress: Progress
) -> list[Run]:
    """The run itself and those of the further seeds, trained where missing."""
    spec = run.spec
    further = [with_seed(spec, spec.seed + i) for i in range(1, seeds)]
    return [run, *(ensure(s, source, device, progress).run for s in further)]


def _baseline(student: Run, source: Source, device: torch.device, progress: Progress) -> Run:
    spec = baseline_of(student.spec)
    known = find(spec)
    if known is None or not known.finished:
        seconds = student.outcome().get("seconds", 0)
        progress.say(
            f"no baseline yet for seed {spec.seed}: training it, no longer than its student "
            f"({seconds:.0f} s)"
        )
    return ensure(spec, source, device, progress).run


def _report(run: Run, source: Source, test: Store, measured: dict[str, Measured]) -> Report:
    settings = run.spec.recipe.evaluate
    data = _data(source, test)
    parts = {role: found.part for role, found in measured.items()}
    comparison, remarks = None, []
    verdict = f"{parts['student'].name} was measured alone: no teacher, nothing to compare."
    if "teacher" in measured:
        comparison = compare(measured, test.labels, source.classes, settings)
        remarks = notes(comparison, parts)
        verdict = sentence(
            comparison,
            run=shlex.quote(str(run.path)),
            test_images=len(test),
            margin=settings.margin,
        )
    place, digest = run.path / "report.json", sha256(run.model)
    report = read_report(place, digest) or Report(
        run=run.path.name, model_sha256=digest, role=run.spec.role
    )
    return write_report(
        place,
        put_evaluation(
            report,
            data=data,
            models=parts,
            comparison=comparison,
            verdict=verdict,
            notes=[*remarks, *notes_on_classes(data, run.spec.recipe.train)],
        ),
    )


def _data(source: Source, test: Store) -> DataPart:
    counts = np.bincount(test.labels, minlength=len(source.classes)).tolist()
    return DataPart(
        name=source.name,
        is_default=int(source.is_default),
        classes=len(source.classes),
        test_images=len(test),
        imbalance=per_class.imbalance(source.train.labels),
        test_images_by_class=dict(zip(source.classes, counts, strict=True)),
    )


def compare(
    measured: dict[str, Measured],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    settings: Evaluate,
) -> Comparison:
    """The student against baseline (paired, image by image and seed by seed) and teacher."""
    right = {role: found.right(labels) for role, found in measured.items()}
    gain = metrics.paired_gain(right["student"], right["baseline"])
    student, teacher = measured["student"].part, measured["teacher"].part
    accuracy = {role: float(rows.mean()) for role, rows in right.items()}
    ahead = accuracy["teacher"] - accuracy["baseline"]
    assert student.agreement is not None  # beside_teacher has filled it
    return Comparison(
        gain=gain.gain,
        gain_ci95=range_of(gain.ci95),
        p_value=gain.p_value,
        detectable_gain=gain.detectable,
        gap_closed=gain.gain / ahead if ahead > 0 else None,
        size_reduction=1 - student.params / teacher.params,
        macs_reduction=1 - student.macs / teacher.macs if student.macs and teacher.macs else None,
        accuracy_drop=accuracy["teacher"] - accuracy["student"],
        agreement=student.agreement,
        distillation_score=metrics.distillation_score(
            student.params,
            teacher.params,
            accuracy["student"],
            accuracy["teacher"],
            settings.size_priority,
        ),
        seeds=gain.seeds,
        verdict_code=metrics.verdict_code(gain, settings.margin),
        **_by_class(right, labels, classes),
    )


def _by_class(
    right: dict[str, NDArray[np.bool_]], labels: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """The comparison with every class counted alike, and the class that lost most."""
    gain, interval = per_class.balanced_gain(right["student"], right["baseline"], labels)
    found: dict[str, Any] = {"balanced_gain": gain, "balanced_gain_ci95": range_of(interval)}
    if lost := per_class.lost_most(right["teacher"][0], right["student"], labels):
        found["class_lost_most"] = ClassLostMost(
            name=classes[lost.label],
            drop=lost.drop,
            ci95=range_of(lost.ci95),
            test_images=lost.images,
        )
    return found


def _keep_predictions(run: Run, test: Store, source: Source, measured: dict[str, Measured]) -> None:
    """predictions.npz: a later comparison needs no model. Logits are (seeds, images, classes)."""
    arrays: dict[str, Any] = {role: found.logits for role, found in measured.items()}
    arrays |= {"ids": np.array(source.test.ids), "labels": test.labels}
    with atomic(run.path / "predictions.npz") as beside, Path(beside).open("wb") as file:
        np.savez_compressed(file, **arrays)
