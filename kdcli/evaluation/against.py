"""The new model against the release, from their answers to the same test images."""

from collections.abc import Mapping

import numpy as np

from kdcli.evaluation.contenders import Contender
from kdcli.evaluation.measure import range_of
from kdcli.evaluation.per_class import losses
from kdcli.evaluation.ranking import side_by_side
from kdcli.evaluation.significance import paired_gain
from kdcli.report.against import AgainstPart, BeforeNow, Flip, Flips
from kdcli.report.comparison import ClassLostMost

MOST = 5
"""Classes that lost."""


def against(
    now: Contender,
    before: Contender,
    costs: Mapping[str, BeforeNow],
    *,
    same_model: bool,
    measured_on: str | None = None,
) -> AgainstPart:
    """Of two that are lined up (`contenders.lined_up`); `costs` by the names of `report.COSTS`.

    Gain and classes are over the seeds that both have, or else side by side (`ranking`).
    """
    new, old = side_by_side(now.for_ranking, before.for_ranking)
    gain = paired_gain(new, old)
    lost = losses(old, new, now.tested.labels)[:MOST]
    return AgainstPart(
        release=before.typed[0],
        name=before.name,
        same_model=int(same_model),
        test_images=new.shape[1],
        seeds=gain.seeds,
        accuracy=float(before.right.mean()),
        gain=gain.gain,
        gain_ci95=range_of(gain.ci95),
        p_value=gain.p_value,
        detectable_gain=gain.detectable,
        flips=flips(now, before),
        classes_lost=[
            ClassLostMost(
                name=now.classes[one.label],
                drop=one.drop,
                ci95=range_of(one.ci95),
                test_images=one.images,
            )
            for one in lost
        ],
        **costs,
        measured_on=measured_on,
    )


def flips(now: Contender, before: Contender) -> Flips:
    """Of the first models of both: those that ship."""
    new, old = now.right[0], before.right[0]
    answers, labels = now.logits[0].argmax(1), now.tested.labels
    images = [
        Flip(
            image=now.tested.ids[i],
            label=now.classes[labels[i]],
            now=now.classes[answers[i]],
        )
        for i in np.flatnonzero(old & ~new)
    ]
    return Flips(count=len(images), fixed=int((new & ~old).sum()), images=images)


def before_now(
    before: float | None, now: float | None, why: str = "it cannot be counted of this model"
) -> BeforeNow:
    """An amount with its ratio; `why` there is none, where one is not known."""
    ratio = now / before if before and now is not None else None
    return BeforeNow(before=before, now=now, ratio=ratio, why=why if ratio is None else None)
