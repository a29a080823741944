"""What `kd evaluate --against RELEASE` adds to the record: the release beside the new model, on the
same test images."""

from kdcli.core.text import counted, points, signed, size_in_words, span
from kdcli.report.comparison import ClassLostMost
from kdcli.report.model import Change, ChangeRange, Part, Share


class Flip(Part):
    """A test image that the release got right and the new model gets wrong."""

    image: str
    label: str
    """Its class, and the release's answer."""
    now: str
    """The new model's answer."""


class Flips(Part):
    """Of what ships: with several seeds the first model of each."""

    count: int
    """Right before, wrong now."""
    fixed: int
    """Wrong before, right now."""
    images: list[Flip]


class BeforeNow(Part):
    """An amount of the release and of the new model, measured alike."""

    before: float | None
    now: float | None
    ratio: float | None
    """now / before."""
    why: str | None = None
    """There is no ratio."""


class AgainstPart(Part):
    """The new model against the release."""

    release: str
    """As it was typed."""
    name: str
    same_model: int
    """1: the very same file."""
    test_images: int
    seeds: int
    accuracy: Share
    """The release's."""
    gain: Change
    """new - release."""
    gain_ci95: ChangeRange
    p_value: Share
    detectable_gain: Share | None
    """As `comparison.detectable_gain`."""
    flips: Flips
    classes_lost: list[ClassLostMost]
    """Whose recall fell, the farthest first, five at most; empty where none fell."""
    params: BeforeNow
    macs: BeforeNow
    file_bytes: BeforeNow
    """Of the fp32 ONNX file; of an exported file its own."""
    latency_ms: BeforeNow
    """Median of one image in onnxruntime, one thread, both by turns."""
    measured_on: str | None = None
    """Where the latencies come from."""


COSTS = {"params": "parameters", "macs": "MACs", "file_bytes": "file", "latency_ms": "latency"}
"""The amounts that are compared, and how they are called."""


def against_sentence(found: AgainstPart) -> str:
    """Better, worse, or not to be told apart."""
    if found.same_model:
        return f"The same model as {found.release}: nothing can differ."
    said = f"{points(found.gain)} (95% CI {_span(found)}, p = {found.p_value:.3g})"
    if found.gain_ci95.low > 0:
        return f"Better than {found.release}: {said}."
    if found.gain_ci95.high < 0:
        return f"Worse than {found.release}: {said}."
    able = found.detectable_gain
    power = "" if able is None else f"; this test would have shown {100 * able:.1f} points"
    return f"Cannot be told from {found.release}: {said}{power}."


def against_lines(found: AgainstPart, most: int = 3) -> list[str]:
    """The rest of it: flips, classes that lost, costs; `most` of each list."""
    lines = [
        _flips(found)
        + "".join(f"; {one.image}: {one.now} for {one.label}" for one in found.flips.images[:most])
    ]
    lines += [
        f"{one.name}: {points(-one.drop)} recall ({span(-one.ci95.high, -one.ci95.low)}, "
        f"{counted(one.test_images, 'image')})"
        for one in found.classes_lost[:most]
    ]
    return [*lines, *(_cost_line(key, getattr(found, key)) for key in COSTS)]


def against_brief(found: AgainstPart) -> list[str]:
    """The same in two lines."""
    known = {name: getattr(found, key).ratio for key, name in COSTS.items()}
    ratios = [f"{name} x {ratio:.3g}" for name, ratio in known.items() if ratio is not None]
    return [_flips(found), *([", ".join(ratios)] if ratios else [])]


def _flips(found: AgainstPart) -> str:
    images = f"{counted(found.flips.count, 'image')} of {found.test_images:,}"
    return f"{images} right before and wrong now, {found.flips.fixed:,} wrong before and right now"


def cost_words(key: str, value: float | None) -> str:
    """`3.6 MB`, `0.21 ms`, `1,234,567`."""
    if value is None:
        return "-"
    if key == "file_bytes":
        return size_in_words(value)
    return f"{value:.3g} ms" if key == "latency_ms" else f"{value:,.0f}"


def ratio_words(change: BeforeNow) -> str:
    """`x 1.02 (+2.0%)`."""
    ratio = change.ratio
    return "-" if ratio is None else f"x {ratio:.3g} ({signed(100 * (ratio - 1))}%)"


def _cost_line(key: str, change: BeforeNow) -> str:
    if change.ratio is None:
        return f"{COSTS[key]}: no ratio ({change.why})"
    before, now = cost_words(key, change.before), cost_words(key, change.now)
    return f"{COSTS[key]}: {before} -> {now}, {ratio_words(change)}"


def _span(found: AgainstPart) -> str:
    return span(found.gain_ci95.low, found.gain_ci95.high)
