"""RELEASE of `kd evaluate --against`: opened before the work, compared with after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from kdcli.core.class_order import difference, places_in
from kdcli.core.errors import KdError, UnfitTeacher, UsageError
from kdcli.core.files import sha256
from kdcli.core.lock import lock
from kdcli.core.machine import machine
from kdcli.core.progress import Progress
from kdcli.data.source import Split
from kdcli.deploy.find_contenders import Given, asked, classes_of, kept
from kdcli.deploy.onnx_file.external import size
from kdcli.deploy.side_by_side import bytes_and_milliseconds
from kdcli.evaluation.against import against, before_now
from kdcli.evaluation.contenders import Contender, lined_up
from kdcli.evaluation.predictions import tested
from kdcli.report.against import AgainstPart, BeforeNow
from kdcli.report.file import WAIT_SECONDS, read_report, write_report
from kdcli.report.schema import DataPart, Report
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.training.site import Site

NO_FILE = "the release is a record without its model, so nothing of it is measured here"
TWO_KINDS = "one is an ONNX file, in which other numbers count than in a model.pt"


@dataclass(frozen=True, eq=False)
class Release:
    """It is known to have been asked about these images, or can be."""

    given: Given
    test: Split
    classes: tuple[str, ...]
    known: Contender | None
    """Its answers, in this order of images and classes; None: it is to be asked."""


def open_release(
    given: Given | None, spec: Spec | None, test: Split, classes: tuple[str, ...]
) -> Release | None:
    """Before the work: whether it can be compared on these images. `spec` is that of the run whose
    test images they are; None: they are new to both, and whoever can be asked is.

    Raises:
        UsageError: it was tested on other images, or has other classes.
        DamagedFile: its record or file cannot be read.
    """
    if given is None:
        return None
    found = kept(given)
    _refuse_other_classes(given, found, classes)
    known = lined_up(found, classes, tested(test)) if found else None
    others = given.run is not None and spec is not None and _is_elsewhere(given.run, spec)
    if known is None and (given.record or (spec and found) or others):
        count = f"{len(found.tested.ids):,}" if found else "images"
        raise UsageError(
            f"test images differ: these are {len(test):,}, {given.typed} was tested on {count} "
            "that are not the same",
            "--test DATA asks both about the labelled images there (of a release that is a record, "
            "give the model)",
        )
    return Release(given, test, classes, known)


def _refuse_other_classes(given: Given, found: Contender | None, classes: Sequence[str]) -> None:
    theirs = (found and found.classes) or (classes if given.record else classes_of(given))
    try:
        places_in(theirs, classes, given.typed, "")
    except UnfitTeacher as error:
        raise UsageError(
            f"classes differ: {given.typed} is not of the same: {difference(theirs, classes)}",
            "give a release of the same classes",
        ) from error


def _is_elsewhere(run: Run, spec: Spec) -> bool:
    return run.spec.data.identity != spec.data.identity


def compared_with(
    release: Release | None, run: Run, report: Report, site: Site
) -> tuple[Report, Report | None]:
    """The run's report with what was compared, as written; and the release's."""
    if release is None:
        return report, None
    found = kept(Given(str(run.path), run=run))
    assert found is not None  # just written
    now = lined_up(found, release.classes, tested(release.test))
    assert now is not None
    part, before = beside_release(release, now, report, site.device, site.progress)
    with lock(run.path, wait=WAIT_SECONDS):  # an export may have written meanwhile
        place = run.path / "report.json"
        current = read_report(place, report.model_sha256) or report
        return write_report(place, current.model_copy(update={"against": part})), before


def beside_release(
    release: Release, now: Contender, report: Report, place: torch.device, progress: Progress
) -> tuple[AgainstPart, Report]:
    """The comparison, and the release's own record on these images."""
    given = release.given
    before = release.known or asked(given, release.test, release.classes, place, progress)
    record = before.report or record_of(before, given, report.data)
    same = record.model_sha256 == report.model_sha256
    if same:
        progress.warn(f"{given.typed}: the same model as the one that is evaluated")
    costs, measured = _costs(now, before, progress)
    where = f"{machine()}, 1 thread" if measured else None
    return against(now, before, costs, same_model=same, measured_on=where), record


def record_of(one: Contender, given: Given, data: DataPart | None) -> Report:
    """Of somebody who was just asked: itself alone."""
    part = one.part
    if given.is_onnx:
        part = part.model_copy(update={"file_bytes": size(given.model)})
    return Report(
        run=one.typed[0],
        model_sha256=sha256(given.model),
        role=one.role,
        data=data,
        models={"student": part},
    )


def _costs(
    now: Contender, before: Contender, progress: Progress
) -> tuple[dict[str, BeforeNow], bool]:
    """By the names of `report.against.COSTS`; and whether anything was timed."""
    counted = {key: (before.costs[key], now.costs[key]) for key in ("params", "macs")}
    kinds = {_is_onnx(one) for one in (now, before) if one.file}
    if len(kinds) == 2:
        found = {
            key: BeforeNow(before=b, now=n, ratio=None, why=TWO_KINDS)
            for key, (b, n) in counted.items()
        }
    else:
        found = {key: before_now(*pair) for key, pair in counted.items()}
    if before.file is None or now.file is None:
        return found | _recorded(now, before), False
    try:
        times = bytes_and_milliseconds({"before": before.file, "now": now.file}, progress)
    except KdError as error:
        progress.warn(f"not timed side by side: {error.what}")
        nothing = before_now(None, None, f"not measured: {error.what}")
        return found | {"file_bytes": nothing, "latency_ms": nothing}, False
    (old, was), (new, takes) = times["before"], times["now"]
    return found | {"file_bytes": before_now(old, new), "latency_ms": before_now(was, takes)}, True


def _recorded(now: Contender, before: Contender) -> dict[str, BeforeNow]:
    """Of a release that is a record alone: bytes as both exports wrote them, no time."""
    lacking = "kd export measures it, and one of the two records has none"
    return {
        "file_bytes": before_now(_bytes(before), _bytes(now), lacking),
        "latency_ms": before_now(None, None, NO_FILE),
    }


def _bytes(one: Contender) -> int | None:
    return one.report.models["student"].file_bytes if one.report else None


def _is_onnx(one: Contender) -> bool:
    return one.file is not None and Path(one.file).suffix == ".onnx"
