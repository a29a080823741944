"""Candidates of which each is compared with its own baseline, in place of all with one."""

from collections.abc import Sequence

from kdcli.core.text import counted
from kdcli.evaluation.contenders import Contender
from kdcli.evaluation.measure import range_of
from kdcli.evaluation.ranking import Seeds, side_by_side
from kdcli.evaluation.significance import holm, paired_gain
from kdcli.report.candidates import OWN, Candidate, Compared


def over_their_own(
    found: Compared, contenders: Sequence[Contender], baselines: Sequence[Seeds | None]
) -> Compared:
    """The same with these gains; p-values after Holm, over as many as have a baseline.

    `baselines` are of the same seeds as the contenders; None where there is none.
    """
    gains = [
        paired_gain(*side_by_side(one.for_ranking, own)) if own else None
        for one, own in zip(contenders, baselines, strict=True)
    ]
    corrected = iter(holm([gain.p_value for gain in gains if gain]))
    note = (
        f"p of the gains: after Holm over {counted(sum(map(bool, gains)), 'row')}; each interval "
        "is its row's own"
    )
    rows = [
        row.model_copy(
            update={
                "gain": gain.gain if gain else None,
                "gain_ci95": range_of(gain.ci95) if gain else None,
                "p_value": next(corrected) if gain else None,
            }
        )
        for row, gain in zip(found.candidates, gains, strict=True)
    ]
    sentence = f"{_decided(rows)} {found.sentence}"
    update = {"candidates": rows, "against": OWN, "notes": [note, *found.notes]}
    return found.model_copy(update={**update, "sentence": sentence})


def _decided(rows: Sequence[Candidate]) -> str:
    """How many are ahead of their own baselines, and behind them, beyond doubt."""
    sure = [row.gain for row in rows if row.gain and row.p_value is not None and row.p_value < 0.05]
    ahead, behind = sum(gain > 0 for gain in sure), sum(gain < 0 for gain in sure)
    return (
        f"Of {counted(len(rows), 'row')} {ahead} ahead of its own baseline, {behind} behind it, "
        f"{len(rows) - len(sure)} undecided."
    )
