"""What each term of a run's loss came to, as its log says."""

from dataclasses import dataclass

from kdcli.runs.run import Run


@dataclass(frozen=True)
class TermPart:
    """One term; shares are those of the weighted terms."""

    term: str
    weight: float
    """At the end."""
    loss: float
    """Mean of the epoch, unweighted."""
    share_of_loss: float | None
    share_of_gradient: float | None
    """Of the learners' gradient; None where the term's weight was 0."""


def terms_of(run: Run) -> list[TermPart]:
    """The labels' term, then the recipe's; none where there is but one, which has no share."""
    lines = [line for line in run.lines() if "share_of_loss" in line]
    return [
        TermPart(
            term,
            line["weights"][term],
            loss,
            line["share_of_loss"].get(term),
            line.get("share_of_gradient", {}).get(term),
        )
        for line in lines[-1:]
        for term, loss in line["terms"].items()
    ]
