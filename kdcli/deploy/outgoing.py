"""A student on its way out: what its files are made of, tried on, and where they go."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdcli.data.source import Source
from kdcli.deploy.quantization import Images
from kdcli.deploy.request import Wanted
from kdcli.deploy.samples import Samples
from kdcli.models.loading import Loaded
from kdcli.report.export import FoldPart
from kdcli.report.schema import Report
from kdcli.runs.locate import Located


@dataclass(frozen=True, eq=False)
class Outgoing:
    """What whoever writes a format is given."""

    student: Loaded
    """As it leaves: its heads folded into one, or not."""
    fold: FoldPart | None
    """What became of them; None: there is but one."""
    wanted: Wanted
    path: Path
    """Where it goes: the fp32 file, or another format's file or folder."""
    located: Located
    """Where it came from."""
    samples: Samples
    images: Callable[[], Images] | None
    """Opens what int8 is calibrated and chosen on; None: there are none."""
    report: Report
    """The record so far."""
    source: Source | None = None
    """The data of its run, where they are at hand."""
