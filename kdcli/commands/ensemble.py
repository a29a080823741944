"""Several classifiers asked one after another, of which only a mean is kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kdcli.commands.measure import Logits, ask
from kdcli.data.loader import Store
from kdcli.progress import Progress
from kdcli.records import Panel

ASKING = "asking the teachers"


class RunningMean:
    """What a panel answers as one, from one member's answers at a time.

    It is `functional.as_one`, in the memory of one member however many there are.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._weights = iter(panel.weights)
        self._total: NDArray[np.float64] | None = None

    def add(self, logits: Logits) -> None:
        """The next member's (N, K), in the order of the panel's weights."""
        weight, found = next(self._weights), logits.astype(np.float64)
        if self._panel.aggregate == "logits":
            found *= weight
        else:
            found -= np.logaddexp.reduce(found, axis=1, keepdims=True)
            found += np.log(weight)
        if self._total is None:
            self._total = found
        elif self._panel.aggregate == "logits":
            self._total += found
        else:
            np.logaddexp(self._total, found, out=self._total)

    def answers(self) -> Logits:
        """(N, K) logits: the log of the mean probabilities, or the mean of the logits.

        Raises:
            ValueError: of another number of members than the panel has.
        """
        if self._total is None or next(self._weights, None) is not None:
            raise ValueError("a panel answers as one when all its members have been heard")
        return self._total.astype(np.float32)


def ensemble_answers(
    files: Sequence[Path], panel: Panel, store: Store, device: torch.device, progress: Progress
) -> Logits:
    """(N, K): what the models of these model.pt, loaded one after another, answer as one."""
    mean = RunningMean(panel)
    for file in progress.track(files, len(files), ASKING):
        mean.add(ask(file, store, device).logits)
    return mean.answers()
