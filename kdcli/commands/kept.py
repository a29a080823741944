"""What was written in a format of PyTorch's world, loaded back, and found to answer alike."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcli.commands.report import ParityPart

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Kept:
    """Files in their places."""

    files: list[Path]
    """The one with the weights first."""
    written_by: str
    parity: ParityPart
    answers: Floats
    """(N, K), of the samples."""
