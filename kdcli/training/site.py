"""Where a training happens: on which images, on which device, and who is told."""

from dataclasses import dataclass, replace

import torch

from kdcli.core.progress import Progress, Silent
from kdcli.data.source import Source


@dataclass(frozen=True, eq=False)
class Site:
    """What stays the same for every training of a chain."""

    source: Source
    device: torch.device
    progress: Progress

    @property
    def classes(self) -> int:
        """How many the data have."""
        return len(self.source.classes)

    def silent(self) -> "Site":
        """The same, where nobody is told."""
        return replace(self, progress=Silent())
