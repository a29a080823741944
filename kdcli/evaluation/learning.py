"""How a role's training ended: each term's share of the gradient, and the ends of its curves."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from kdcli.report.model import CurvePart, TermShare
from kdcli.runs.run import Run
from kdcli.runs.terms import TermPart, terms_of


def learning(runs: Sequence[Run]) -> dict[str, Any]:
    """Fields of ModelPart, means over the runs of one role's seeds; none where a run tells none."""
    terms, curve = _terms([terms_of(run) for run in runs]), _curve(runs)
    return ({"terms": terms} if terms else {}) | ({"curve": curve} if curve else {})


def epochs_of(run: Run) -> list[dict[str, Any]]:
    """The lines of its epochs, in their order."""
    return [line for line in run.lines() if "epoch" in line]


def _terms(seeds: Sequence[list[TermPart]]) -> list[TermShare]:
    """Empty unless every seed learnt from the same terms."""
    if len({tuple(part.term for part in terms) for terms in seeds}) != 1:
        return []
    return [
        TermShare(
            term=same[0].term,
            weight=fmean(part.weight for part in same),
            loss=fmean(part.loss for part in same),
            share_of_loss=mean_of(part.share_of_loss for part in same),
            share_of_gradient=mean_of(part.share_of_gradient for part in same),
        )
        for same in zip(*seeds, strict=True)
    ]


def _curve(runs: Sequence[Run]) -> CurvePart | None:
    """None unless every run's log says how it ended."""
    last = [epochs[-1] for run in runs if (epochs := epochs_of(run))]
    ends = [run.outcome() for run in runs]
    if not runs or len(last) < len(runs) or not all(ends):
        return None
    return CurvePart(
        train_accuracy=fmean(line["train_accuracy"] for line in last),
        validation_accuracy=fmean(line["val_accuracy"] for line in last),
        validation_nll=mean_of(line.get("val_nll") for line in last),
        best_epoch=mean_of(end.get("best_epoch") for end in ends),
        best_validation_accuracy=mean_of(end.get("val_accuracy") for end in ends),
    )


def mean_of(values: Iterable[float | None]) -> float | None:
    """None where one of them is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return fmean(known) if known and len(known) == len(found) else None
