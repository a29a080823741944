"""What `kd evaluate` leaves for a pipeline: JUnit XML, and the job's summary."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdcli.core.errors import DiskError, UsageError
from kdcli.core.files import atomic, disk_errors, probe
from kdcli.core.progress import Progress
from kdcli.report.gates import Checked
from kdcli.report.junit import junit
from kdcli.report.schema import Report
from kdcli.report.summary import summary

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The file that GitHub shows under a job; each step appends."""


@dataclass(frozen=True)
class GateFiles:
    """Where they go."""

    junit: Path | None = None

    def prepare(self) -> None:
        """Before the work: can it be written? What an earlier job left there goes, so that nobody
        takes it for this one's.

        Raises:
            UsageError: a folder, or a file that is no JUnit report.
            DiskError: read-only, or no permission.
        """
        if self.junit is None:
            return
        if self.junit.is_dir():
            raise UsageError(f"--junit {self.junit}: a folder", "give a file, as gates.xml in it")
        if self.junit.exists() and not _is_junit(self.junit):
            raise UsageError(
                f"--junit {self.junit}: there is something else", "give another place, or move it"
            )
        try:
            probe(self.junit.parent)
            with disk_errors(self.junit):
                self.junit.unlink(missing_ok=True)
        except DiskError as error:
            raise DiskError(f"--junit {self.junit}: {error.what}", "give another place") from error

    def write(
        self, report: Report, gates: Sequence[Checked], title: str, progress: Progress
    ) -> None:
        """Both, as far as they are wanted; a summary that cannot be written is warned of."""
        if self.junit is not None:
            with atomic(self.junit) as beside:
                beside.write_bytes(junit(gates, title))
        if place := os.environ.get(STEP_SUMMARY):
            text = summary(report, gates, title).encode("utf-8", "backslashreplace")
            try:
                with Path(place).open("ab") as file:
                    file.write(text + b"\n")
            except OSError as error:
                progress.warn(f"${STEP_SUMMARY} {place}: {error.strerror or error}")


def _is_junit(file: Path) -> bool:
    """Or an empty file; nothing else is taken away."""
    if not file.is_file():
        return False
    with disk_errors(file), file.open("rb") as opened:
        head = opened.read(400)
    return not head or b"<testsuite" in head
