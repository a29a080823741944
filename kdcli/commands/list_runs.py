"""`kd list runs`: every run, what its training came to, and what its report says by now."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcli.core.errors import KdError
from kdcli.report.choices import RunsBy
from kdcli.report.file import read_report
from kdcli.report.schema import Report, main_export
from kdcli.runs.damage import damages
from kdcli.runs.inventory import Folder, inventory
from kdcli.runs.prune import is_leaving
from kdcli.runs.run import Run


@dataclass(frozen=True)
class Listed:
    """A folder, and what is known of the model in it; None: not known."""

    folder: Folder
    training: dict[str, Any]
    """How it ended; empty while it has not."""
    test_accuracy: float | None = None
    verdict_code: str | None = None
    params: int | None = None
    file_bytes: int | None = None
    """Of its fp32 ONNX file, as latency_ms: since `kd export`."""
    latency_ms: float | None = None
    damaged: tuple[str, ...] = ()
    """What no command could use, a line with its path each."""

    @property
    def val_accuracy(self) -> float | None:
        """Of the epoch that ships."""
        return self.training.get("val_accuracy")

    @property
    def facts(self) -> dict[str, Any]:
        """What the report knew."""
        keys = ("test_accuracy", "verdict_code", "params", "file_bytes", "latency_ms")
        return {key: getattr(self, key) for key in keys}


def list_runs(by: RunsBy = "date") -> list[Listed]:
    """All of them: the oldest first; or by accuracy the best first, by a cost the least first, who
    has none behind."""
    found = [_listed(folder) for folder in inventory()]
    if by == "date":
        return found
    sign = -1 if by.endswith("accuracy") else 1

    def key(one: Listed) -> tuple[bool, float]:
        value = one.folder.bytes if by == "bytes" else getattr(one, by)
        return value is None, sign * (value or 0)

    return sorted(found, key=key)


def _listed(folder: Folder) -> Listed:
    if folder.is_store or is_leaving(folder.path.name):
        return Listed(folder, {})
    if not folder.is_open:
        return Listed(folder, {}, damaged=(f"{folder.path}: may not be read",))
    damaged = [*damages(folder.path)]  # of one run, which hides no other
    training: dict[str, Any] = {}
    report = None
    try:
        training = Run(folder.path).outcome()
        report = _report(folder.path)
    except KdError as error:
        damaged += [error.what] * (error.what not in damaged)
    except OSError as error:
        damaged += [f"{error.filename}: cannot be read ({error.strerror})"]
    damaged = list(dict.fromkeys(damaged))
    if report is None:
        return Listed(folder, training, damaged=tuple(damaged))
    student, export = report.models.get("student"), main_export(report)
    return Listed(
        folder,
        training,
        test_accuracy=student.accuracy if student else None,
        verdict_code=report.comparison.verdict_code if report.comparison else None,
        params=student.params if student else None,
        file_bytes=export.bytes if export else None,
        latency_ms=export.latency_ms.p50 if export else None,
        damaged=tuple(damaged),
    )


def _report(run: Path) -> Report | None:
    """Of the model that lies there now: it is older than what was said of it."""
    place, model = run / "report.json", run / "model.pt"
    is_of_it = place.is_file() and model.is_file()
    if not is_of_it or place.stat().st_mtime_ns < model.stat().st_mtime_ns:
        return None
    return read_report(place, None)
