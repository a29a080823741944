"""Where a training happens: on which images, on which device, and who is told."""

from dataclasses import dataclass, replace

import torch

from kdcli.core.progress import Progress, Silent
from kdcli.data.source import Source
from kdcli.runs.spec import Spec
from kdcli.training.threads import Choose, nobody_knows


@dataclass(frozen=True, eq=False)
class Site:
    """What stays the same for every training of a chain. No digest counts it: what decides weights
    is in the Spec, the images by their identity."""

    source: Source
    device: torch.device
    progress: Progress
    threads: Choose = nobody_knows
    """Of trainings that begin here."""
    moved: str | None = None
    """Where the images lie, if not where the specs say: new runs say so."""
    students: int = 1
    """So many are trained that differ in their seeds: one teacher's answers serve all of them."""

    def placed(self, spec: Spec) -> Spec:
        """The same training, its data where they lie now."""
        if self.moved is None:
            return spec
        data = spec.data.model_copy(update={"location": self.moved})
        return spec.model_copy(update={"data": data})

    @property
    def classes(self) -> int:
        """How many classes the data have."""
        return len(self.source.classes)

    def silent(self) -> "Site":
        """The same, where nobody is told: for what is done only to be refused early."""
        return replace(self, progress=Silent())
