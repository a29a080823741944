"""Which stage of a student answers which of a teacher."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, eq=False)
class Correspondence:
    """What one model's stages are to another's."""

    stages: tuple[tuple[int, int], ...]
    """Places in the student's and the teacher's `Outputs.stages`, in depth order."""
    classifier: nn.Module | None = None
    """As About.classifier."""
    norms: tuple[nn.BatchNorm2d | None, ...] = ()
    """As About.norms."""
