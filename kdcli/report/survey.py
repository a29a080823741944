"""The accounting of a survey: what each student keeps of its teacher, at which size.

The distillation score is that of Alkhulaifi et al. (2021), arXiv:2007.09029.
"""

from typing import Literal

from kdcli.core.text import signed, some, span
from kdcli.report.model import Change, ChangeRange, Part, Ratio, Share

Nearer = Literal["teacher", "baseline", "undecided"]


class Account(Part):
    """A student beside the teacher and the baseline of its own report."""

    run: str
    """As it was typed."""
    teacher: str
    params_reduction: Ratio
    """1 - student / teacher."""
    macs_reduction: Ratio | None
    speedup: Ratio | None
    """teacher / student, median of one image in onnxruntime, both timed by turns by `kd export`;
    null before it."""
    accuracy: Share
    accuracy_sd: Share | None
    accuracy_change: Change
    """student - teacher."""
    distillation_score: Ratio | None
    """Lower is better; null where the teacher gets nothing right."""
    better: int | None
    """1: below the mean of these students; null at it."""
    nearer: Nearer | None
    """Whose accuracy the student's is nearer; null without a baseline."""
    gain: Change | None
    """student - baseline; null, as what follows, without one."""
    gain_ci95: ChangeRange | None
    p_value: Share | None
    """Of this gain alone."""
    verdict_code: str | None


class Survey(Part):
    """All of them."""

    size_priority: Share
    """a of the distillation score."""
    mean_score: Ratio | None
    accounts: list[Account]
    left_out: list[str]
    """Candidates without a teacher's answers beside theirs."""


HEADS = (
    *("params", "MACs", "speed", "accuracy", "against teacher"),
    *("score", "of the mean", "nearer", "gain, points (95%)", "verdict"),
)


def scores(found: Survey) -> str:
    """What better and worse are measured by."""
    mean = "-" if found.mean_score is None else f"{found.mean_score:.3f}"
    left = f"; left out: {some(found.left_out, 5)}" if found.left_out else ""
    return (
        f"distillation score: {found.size_priority:g} x size + {1 - found.size_priority:g} x share "
        f"of the teacher's accuracy lost, lower is better; better is below the mean of {mean}{left}"
    )


def figures(one: Account) -> list[str]:
    """Cells below HEADS."""
    sd = "" if one.accuracy_sd is None else f" ± {100 * one.accuracy_sd:.1f}"
    ends = one.gain_ci95
    between = f" ({span(ends.low, ends.high)})" if ends else ""
    return [
        _smaller(one.params_reduction),
        _smaller(one.macs_reduction),
        "-" if one.speedup is None else f"{one.speedup:.1f} x",
        f"{100 * one.accuracy:.1f}{sd}",
        signed(100 * one.accuracy_change),
        "-" if one.distillation_score is None else f"{one.distillation_score:.3f}",
        "-" if one.better is None else "better" if one.better else "worse",
        one.nearer or "-",
        "-" if one.gain is None else f"{signed(100 * one.gain)}{between}",
        (one.verdict_code or "-").replace("_", " "),
    ]


def _smaller(reduction: float | None) -> str:
    return "-" if reduction is None else signed(-100 * reduction, ".0f") + "%"
