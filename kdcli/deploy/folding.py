"""Whether a student's heads are folded into one for its file, and what that does to its answers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kdcli.core.errors import UnmetNeeds
from kdcli.core.progress import Progress
from kdcli.core.text import counted
from kdcli.data.store import Store
from kdcli.evaluation import metrics
from kdcli.evaluation.answers import Logits, answers_of
from kdcli.models.fold import fold
from kdcli.models.loading import Loaded
from kdcli.models.tap import Tap
from kdcli.report.choices import WantedFold
from kdcli.report.export import FoldPart

MOST = 0.001
"""The accuracy on validation that folding may cost: unasked, hardly any."""


def choose(
    student: Loaded,
    wanted: WantedFold,
    images: Tensor,
    validation: Callable[[], Store] | None,
    progress: Progress,
) -> tuple[Loaded, FoldPart | None]:
    """What is exported, and why; None where there is but one head.

    `images` are (B, 3, H, W), ready to be fed; `validation` opens labelled images, where there are
    some: folding the mean of probabilities is an approximation, and kept only if it was measured.
    """
    args = student.args
    if args.heads == 1:
        if wanted != "auto":
            progress.say(f"--fold {wanted}: {args.name} has one head, there is nothing to fold")
        return student, None
    kept = FoldPart(wanted=wanted, heads=args.heads, folded=0, reason="as asked")
    if wanted == "never":
        return student, kept
    exact = args.aggregate == "logits"
    if wanted == "exact" and not exact:
        return student, _because(kept, "a mean of probabilities does not fold exactly")
    try:
        module = fold(student.module, args, images)
    except UnmetNeeds as error:
        return student, _because(kept, error.what)
    folded = replace(student, module=module, args=args.single)
    store = validation() if validation else None
    part = kept.model_copy(update=_measured(student, folded, store) if store else {})
    if exact:
        return folded, _because(part, "a mean of logits folds exactly", folded=1)
    if store is None or part.drop is None:
        return student, _because(part, "no labelled images are at hand to measure folding on")
    lost = _lost(part, len(store.labels))
    if round(part.drop, 9) > MOST:
        return student, _because(part, lost)
    return folded, _because(part, f"no {lost}", folded=1)


def _lost(part: FoldPart, images: int) -> str:
    """On how many images that is known: of few, a single one is more than is allowed."""
    changed = round(images * (1 - (part.agreement or 0)))
    return (
        f"more than {100 * MOST:g} points lost on {counted(images, 'validation image')}, "
        f"{counted(changed, 'answer')} changed"
    )


def _because(part: FoldPart, reason: str, folded: int = 0) -> FoldPart:
    return part.model_copy(update={"reason": reason, "folded": folded})


def _measured(exact: Loaded, folded: Loaded, store: Store) -> dict[str, Any]:
    """Both on validation: nobody chooses by the test images."""
    one, other = _logits(exact, store), _logits(folded, store)
    accuracies = metrics.accuracy(one, store.labels), metrics.accuracy(other, store.labels)
    return {
        "accuracy_exact": accuracies[0],
        "accuracy_folded": accuracies[1],
        "drop": accuracies[0] - accuracies[1],
        "agreement": metrics.agreement(one, other),
        "kl": metrics.kl(one, other),
        "ece_exact": metrics.ece(one, store.labels),
        "ece_folded": metrics.ece(other, store.labels),
    }


def _logits(model: Loaded, store: Store) -> Logits:
    return answers_of(Tap(model.module, model.args, ""), store, torch.device("cpu"))
