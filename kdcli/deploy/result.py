"""What was written, loaded back, and found to answer alike."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdcli.core.arrays import Floats
from kdcli.report.export import ParityPart
from kdcli.report.gates import Checked
from kdcli.report.schema import Report
from kdcli.runs.layout import Format


@dataclass(frozen=True, eq=False)
class Kept:
    """Files of a format of PyTorch's world, in their places."""

    files: list[Path]
    """The one with the weights first."""
    written_by: str
    parity: ParityPart
    answers: Floats
    """(N, K), of the samples."""


@dataclass(frozen=True)
class Written:
    """Files that agree, and their record."""

    paths: list[Path]
    """fp32 first, or the one with the weights."""
    put: Callable[[Report], Report]
    """Puts them on record, over what stands there by then."""


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
