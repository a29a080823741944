"""Is a file of less precision worth it, on the machine that timed it?"""

from collections.abc import Sequence
from dataclasses import dataclass

from kdcli.core.arrays import Floats, Indices
from kdcli.core.latency import beyond
from kdcli.core.machine import own_kind
from kdcli.core.text import points, span
from kdcli.deploy.cost_comparison import Costs
from kdcli.deploy.onnx_file.external import size as size_of
from kdcli.deploy.onnx_file.int8 import depthwise
from kdcli.deploy.onnx_files import Made
from kdcli.evaluation.significance import Gain, paired_gain
from kdcli.report.choices import Precision
from kdcli.report.export import WorthPart
from kdcli.report.model import Range


@dataclass(frozen=True)
class Beside:
    """A file of less precision beside the fp32 file of the same student."""

    precision: Precision
    bytes_ratio: float
    """fp32 / this, as `speedup`."""
    speedup: float
    noise: float
    """That of `latency.noise`, of two timings of one file, >= 0."""
    change: Gain | None
    """this - fp32 on test; None without such images."""
    depthwise: bool = False
    """It convolves channel by channel."""
    elsewhere: bool = False
    """It is made for another kind of processor than the one that timed it."""


def worth_of_all(
    made: Sequence[Made], costs: Costs, labels: Indices | None, margin: float
) -> list[WorthPart | None]:
    """One for each file, the first being fp32, which has none."""
    fp32, *others = made
    times, size = costs.files, size_of(fp32.path)
    mobile = depthwise(fp32.path)
    found = [
        Beside(
            precision=one.precision,
            bytes_ratio=size / size_of(one.path),
            speedup=times["fp32"].p50 / times[one.precision].p50,
            noise=costs.noise,
            change=None if labels is None else _change(one.answers, fp32.answers, labels),
            depthwise=mobile,
            elsewhere=one.quantized is not None and one.quantized.target != own_kind(),
        )
        for one in others
    ]
    return [None, *(verdict(beside, margin) for beside in found)]


def _change(these: Floats, fp32: Floats, labels: Indices) -> Gain:
    """On the same images, one seed."""
    right, before = (answers.argmax(1)[None] == labels for answers in (these, fp32))
    return paired_gain(right, before)


def verdict(beside: Beside, margin: float = 0.01) -> WorthPart:
    """Worth it is what gains speed and does not lose accuracy, both beyond doubt:

    faster than fp32 by more than the noise; at most `margin` of accuracy lost on test, and the low
    end of the change's 95% interval above -2 `margin`. What is only smaller is not worth it, and
    of what is made for another processor nobody can tell here.
    """
    change = beside.change
    faster = beside.speedup > 1 and beyond(beside.speedup, beside.noise)
    kept = (  # rounded: 0.9 - 0.91 is a hair below -0.01
        change is not None
        and round(change.gain, 9) >= -margin
        and round(change.ci95.low, 9) > -2 * margin
    )
    return WorthPart(
        bytes_ratio=beside.bytes_ratio,
        accuracy_change=change.gain if change else None,
        accuracy_change_ci95=Range(low=change.ci95.low, high=change.ci95.high) if change else None,
        speedup=beside.speedup,
        noise=beside.noise,
        worth_it=int(faster and kept and not beside.elsewhere),
        reason=_reason(beside, faster, kept, margin),
    )


def _reason(beside: Beside, faster: bool, kept: bool, margin: float) -> str:
    speed = f"{beside.speedup:.2f}x, noise {beside.noise:.0%}"
    size = f"{beside.bytes_ratio:.1f}x smaller"
    if beside.elsewhere:
        return (
            f"nobody can tell here: made for another processor than the one that timed it ({speed})"
            f", {_accuracy(beside.change)}, {size}; time it there with bench.py"
        )
    if faster and kept:
        return f"worth it: faster than fp32 ({speed}), {_accuracy(beside.change)}, {size}"
    if faster:
        return f"not worth it: {_loss(beside.change, margin)}; faster than fp32 ({speed}), {size}"
    slow = f"no faster than fp32 by more than the noise ({speed})"
    if beside.depthwise and beside.precision == "int8":
        slow += (
            ", as is common of mobile networks, whose depthwise convolutions and squeeze-excite "
            "leave int8 little to gain"
        )
    loss = "" if kept else f"; {_loss(beside.change, margin)}"
    return f"not worth it here: {slow}{loss}; {size}, which counts only where the size does"


def _accuracy(change: Gain | None) -> str:
    if change is None:
        return "accuracy unknown"
    low, high = change.ci95.low, change.ci95.high
    return f"accuracy {points(change.gain)} (95% CI {span(low, high)})"


def _loss(change: Gain | None, margin: float) -> str:
    if change is None:
        return "no test images say what it does to accuracy"
    limit = (
        f"more than the {100 * margin:g} allowed"
        if round(change.gain, 9) < -margin
        else f"where the interval must stay above {-200 * margin:g}"
    )
    return f"{_accuracy(change)}, {limit}"
