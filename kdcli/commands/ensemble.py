"""What several finished models answer as one; they are asked one after another."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F

from kdcli.commands.asked import Logits
from kdcli.records import Panel


def together(answers: Iterable[Logits], panel: Panel) -> Logits:
    """`functional.as_one` of (N, K) logits that come one after another; only their running mean is
    kept."""
    mean: torch.Tensor | None = None
    add = torch.add if panel.aggregate == "logits" else torch.logaddexp
    for weight, logits in zip(panel.weights, answers, strict=True):
        share = _share(torch.from_numpy(logits), weight, panel)
        mean = share if mean is None else add(mean, share, out=mean)
    assert mean is not None
    found: Logits = mean.numpy()
    return found


def _share(logits: torch.Tensor, weight: float, panel: Panel) -> torch.Tensor:
    if panel.aggregate == "logits":
        return weight * logits
    return F.log_softmax(logits, 1) + float(np.log(weight))
