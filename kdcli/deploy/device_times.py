"""`kd export RUN --measured FILE`: what bench.py printed on a device, into the report."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.files import sha256
from kdcli.core.json_text import from_json
from kdcli.core.lock import lock
from kdcli.core.progress import Progress
from kdcli.deploy.request import Request
from kdcli.deploy.result import Exported
from kdcli.models.loading import read_args
from kdcli.report.export import Export, place_of
from kdcli.report.file import WAIT_SECONDS, read_report, write_report
from kdcli.report.gates import check_gates, for_classes, parse_gates
from kdcli.report.model import DevicePart
from kdcli.report.schema import Report
from kdcli.runs.locate import locate

MOST_BYTES = 1_000_000
"""Of a document; bench.py prints some hundred per model."""
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)
_Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Milliseconds = Annotated[float, Field(gt=0, lt=1e9)]
_Bytes = Annotated[int, Field(gt=0, lt=1 << 50)]


class _Model(BaseModel):
    model_config = _STRICT
    file: _Words
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: _Bytes
    load_seconds: Annotated[float, Field(ge=0, lt=1e6)]
    cold: _Milliseconds
    p50: _Milliseconds
    p90: _Milliseconds
    p99: _Milliseconds
    runs: Annotated[int, Field(gt=0, lt=1 << 50)]
    peak_memory_bytes: _Bytes | None
    fed: Annotated[list[Annotated[int, Field(gt=0, lt=1 << 20)]], Field(max_length=4)] | None = None
    """Shape of its images; an earlier kd's bench.py does not say."""


class Measurement(BaseModel):
    """The document of bench.py, `"schema": 1`: foreign data, of which nothing is taken on trust."""

    model_config = _STRICT
    schema_: Literal[1] = Field(alias="schema")
    device: _Words
    system: _Words
    threads: Annotated[int, Field(ge=0, le=4096)]
    onnxruntime: _Words
    python: _Words
    models: Annotated[list[_Model], Field(min_length=1, max_length=100)]

    def of(self, digest: str) -> DevicePart | None:
        """What it says of the file of this sum; None: nothing."""
        found = next((model for model in self.models if model.sha256 == digest), None)
        if found is None:
            return None
        return DevicePart(
            **self.model_dump(include={"device", "system", "threads", "onnxruntime"}),
            **found.model_dump(include={"p50", "p90", "p99", "cold", "runs", "load_seconds"}),
            memory_bytes=found.peak_memory_bytes,
            fed=found.fed,
        )


def add_measured(request: Request, progress: Progress) -> Exported:
    """Put what was measured on devices beside the exports; nothing is exported again.

    Raises:
        UsageError: nothing was exported, or none of those files was measured.
        DamagedFile: a document that bench.py does not print.
    """
    gates = parse_gates(request.minima, request.maxima)
    measurements = {file: read_measurement(file) for file in request.measured or ()}
    located = locate(request.thing, progress, request.which)
    gates = for_classes(gates, read_args(located.model)[1])
    with lock(located.folder, wait=WAIT_SECONDS) if located.run else nullcontext():
        report = read_report(located.report, sha256(located.model))
        if report is None or not report.exports:
            raise UsageError(
                f"{located.model}: nothing of it was exported", "first kd export, then measure"
            )
        for file, measurement in measurements.items():
            report = put_measurement(report, measurement, file, progress)
        report = write_report(located.report, report)
    paths = [place_of(export, located.folder) for export in report.exports or []]
    return Exported(
        located.exports, paths, located.report, report, check_gates(gates, report), "onnx"
    )


def read_measurement(file: Path) -> Measurement:
    """The document, checked.

    Raises:
        UsageError: there is no such file.
        DamagedFile: bench.py does not print such a thing.
    """
    if not file.is_file():
        raise UsageError(f"--measured {file}: no such file", "python bench.py > FILE makes it")
    again = "let the export folder's bench.py print it again: python bench.py > FILE"
    if file.stat().st_size > MOST_BYTES:
        raise DamagedFile(f"{file}: larger than anything that bench.py prints", again)
    try:
        return Measurement.model_validate(from_json(file.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        problem = f"{file}: not what bench.py prints: {where}: {first['msg']}"
        raise DamagedFile(problem, again) from error
    except ValueError as error:  # bad bytes, or no JSON
        raise DamagedFile(f"{file}: no JSON, or cut short", again) from error


def put_measurement(report: Report, found: Measurement, file: Path, progress: Progress) -> Report:
    """Beside each export whose file was measured, in place of what the same device said before.

    bench.py measures every file in its folder, some of which another record is about (`--which
    exit_1`): those are named, and left out.

    Raises:
        UsageError: none of the exports was measured.
    """
    exports = report.exports or []
    known = {export.sha256 for export in exports}
    others = [model for model in found.models if model.sha256 not in known]
    words = ", ".join(f"{model.file} (sha256 {model.sha256[:12]}...)" for model in others)
    if len(others) == len(found.models):
        raise UsageError(
            f"{file}: {words}: none of the files that were exported from {report.run}",
            "copy the export folder to the device anew, and measure there again",
        )
    if others:
        progress.say(f"{file}: left out, as no file of this record: {words}")
    return report.model_copy(update={"exports": [_beside(one, found) for one in exports]})


def _beside(export: Export, found: Measurement) -> Export:
    if (part := found.of(export.sha256)) is None:
        return export
    same = part.device, part.threads
    others = [one for one in export.measured if (one.device, one.threads) != same]
    return export.model_copy(update={"measured": [*others, part]})
