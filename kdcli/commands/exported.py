"""What `kd export` hands back."""

from dataclasses import dataclass
from pathlib import Path

from kdcli.commands.gates import Checked
from kdcli.commands.report import Format, Report


@dataclass(frozen=True)
class Exported:
    """The files, the report as written, and the gates held against it."""

    out: Path
    """The fp32 file; of another format its file or folder."""
    paths: list[Path]
    """All of them, fp32 first."""
    place: Path
    """report.json."""
    report: Report
    gates: list[Checked]
    format: Format
