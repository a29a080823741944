"""What is kept of a model's answers, and the answers again from it.

n images, K classes; `keep` is `teacher.keep` of a recipe.
"""

import torch
from torch import Tensor

from kdcli.core.records import Outputs
from kdcli.recipe.teacher import Keep

Kept = dict[str, Tensor]
"""Tensors of n rows: `logits`; of the N largest also `classes` and `sum`, the logsumexp of all;
`embedding` where one was shown."""


def packed(outputs: Outputs, keep: Keep) -> Kept:
    """What is kept of a model's answers: all logits, all in fp16, or the N largest of more."""
    logits, embedding = outputs.logits, outputs.embedding
    kept = {"logits": logits.half() if keep == "half" else logits}
    classes = logits.shape[1]
    if isinstance(keep, int) and keep < classes:
        largest, places = logits.topk(keep, 1)
        narrow = torch.int16 if classes <= 1 << 15 else torch.int32
        kept = {"logits": largest, "classes": places.to(narrow), "sum": logits.logsumexp(1)}
    if embedding is not None:
        kept["embedding"] = embedding if keep == "all" else embedding.half()
    return kept


def unpacked(kept: Kept, by: str, classes: int) -> Outputs:
    """The answers, in float32. Of the N largest logits l, the others share what is left alike:
    log((e^sum - sum e^l) / (K - N)), so that the probabilities of the largest are what they were.
    """
    logits = kept["logits"].float()
    if "sum" in kept:
        # of probabilities, where nothing overflows; never 0, whose log is not finite
        left = (1 - covered(kept)).clamp(min=torch.finfo(torch.float32).tiny)
        tail = kept["sum"] + (left / (classes - logits.shape[1])).log()
        logits = tail[:, None].repeat(1, classes).scatter(1, kept["classes"].long(), logits)
    embedding = kept.get("embedding")
    return Outputs(by, logits, embedding=None if embedding is None else embedding.float())


def covered(kept: Kept) -> Tensor:
    """(n,) the share of the probability (at T = 1) that the N largest have together, in [0, 1]."""
    return (kept["logits"] - kept["sum"][:, None]).exp().sum(1).clamp(max=1)
