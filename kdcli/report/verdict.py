"""One sentence that a person can act on."""

import math

from kdcli.core.text import points, span
from kdcli.recipe.teacher import BALANCED, own_recipe
from kdcli.recipe.train import Train
from kdcli.report.comparison import WORTH_CLOSING, Comparison
from kdcli.report.model import ModelPart
from kdcli.report.schema import DataPart, imitated
from kdcli.report.sentences import all_generations, hops

RARE = 5
"""Largest : smallest training class above which the run says what to set."""
FEW = 10
"""Test images of a class: of fewer, a single one moves its recall by more than ten points."""
AFFORDABLE = 30
"""Seeds that are proposed at most."""


def sentence(
    c: Comparison, *, run: str, test_images: int, margin: float, scheme: str | None = None
) -> str:
    """The verdict. One or two seeds speak of the files at hand, three or more of distillation.

    `run` is the run's folder as a shell takes it; `scheme` that of a student that learnt from
    itself or its peers.
    """
    gain, interval = points(c.gain), f"95% CI {span(c.gain_ci95.low, c.gain_ci95.high)}"
    interval += f", p = {c.p_value:.2g}" if c.seeds == 1 else ""
    few = "one seed" if c.seeds == 1 else f"{c.seeds} seeds"
    taught = "scheme" if scheme else "teachers" if c.ensemble else "teacher"
    what = f"Distillation (scheme {scheme})" if scheme else "Distillation"
    luck = f"{few} cannot tell the {taught} from luck: kd evaluate {run} --seeds 3"
    ours = f"{100 * abs(c.gain):.1f} points ({interval})"
    match c.verdict_code:
        case "one_seed_better":
            return f"This student beats this baseline by {ours}; {luck}"
        case "one_seed_worse":
            return f"This student is behind this baseline by {ours}; {luck}"
        case "one_seed_even":
            return (
                f"This student and this baseline cannot be told apart: {gain} ({interval}); {luck}"
            )
        case "helped":
            return f"{what} helped: {gain} over the baseline ({interval}, {few})."
        case "hurt":
            return (
                f"{what} hurt: {gain} against the baseline ({interval}, {few}). "
                "Ship the baseline, or try another recipe."
            )
        case "equal":
            return (
                f"{what} made no difference: {gain} ({interval}, {few}), within the margin "
                f"of {100 * margin:g} points. The baseline is as good, and cheaper to train."
            )
    way_out = _what_would_decide(c, test_images, run, margin)
    return f"Undecided: {gain} over the baseline ({interval}). {way_out}"


def _what_would_decide(c: Comparison, test_images: int, run: str, margin: float) -> str:
    """More of both: the smallest gain that shows falls with the square root of either at best."""
    if c.detectable_gain is None:
        return (
            f"{test_images} test images and {c.seeds} seeds that differ so much cannot show any "
            f"difference: more test images, or kd evaluate {run} --seeds {2 * c.seeds}"
        )
    wanted = max(abs(c.gain), margin)  # nobody needs to settle less than the margin
    factor = max(2, math.ceil((c.detectable_gain / wanted) ** 2))
    seeds = f", or kd evaluate {run} --seeds {c.seeds * factor}"
    return (
        f"{test_images} test images and {c.seeds} seeds show differences of "
        f"{100 * c.detectable_gain:.1f} points at best; to settle {100 * wanted:.1f} points takes "
        f"about {factor:,} times as many: more test images"
        f"{seeds if c.seeds * factor <= AFFORDABLE else ''}"
    )


def notes(c: Comparison, models: dict[str, ModelPart]) -> list[str]:
    """What else a reader must know before believing the verdict."""
    above, baseline = imitated(models), models["baseline"]
    found = [line for line in (hops(models), all_generations(models)) if line]
    lead, itself = (c.accuracy_drop or 0.0) + c.gain, "generations" in models  # never ahead
    if above and models[above].accuracy is None:
        found.append(
            f"the {above} ({models[above].name}) has other classes than the data: it was asked for "
            "what it sees, and none of its answers is compared"
        )
    elif above and lead < WORTH_CLOSING and not itself:
        found.append(
            f"the {above} ({models[above].accuracy:.4f}) is {'hardly' if lead > 0 else 'not'} "
            f"ahead of the baseline ({baseline.accuracy:.4f}) on test: there was little to learn "
            "from it"
        )
    if baseline.converged is None:
        found.append(
            "whether the baseline had converged is not known: its metrics.jsonl is gone or damaged"
        )
    if baseline.converged is False:
        rise = baseline.train_accuracy_rise
        told = (
            "one epoch does not tell"
            if rise is None
            else f"its training accuracy rose by {100 * rise:.1f} points over the last fifth of "
            "its epochs, and less than 0.5 is converged"
        )
        found.append(
            f"the baseline had not converged: {told}; "
            "train longer (--set train.epochs=...) before believing a gain"
        )
    return [*found, _power(c)]


def _power(c: Comparison) -> str:
    """Which true gain would have been found; one image more or less is none."""
    if c.detectable_gain is None:
        return (
            "this comparison could not have shown any gain: test images are too few, or seeds too "
            "far apart"
        )
    shown = math.ceil(1000 * c.detectable_gain - 1e-6) / 10  # never less than it is
    return f"this comparison could have shown a gain of {shown:.1f} points or more (80% power)"


def notes_on_classes(data: DataPart, train: Train) -> list[str]:
    """Classes that training or test has few images of, and which keys help."""
    return [
        note
        for note in (_rare_in_training(data.imbalance, train), _few_in_test(data))
        if note is not None
    ]


def _rare_in_training(imbalance: float | None, train: Train) -> str | None:
    wanted = []
    if train.balance == "none":
        wanted.append("--set train.balance=sampler (or loss)")
    if train.select == "accuracy":
        wanted.append("--set train.select=balanced_accuracy")
    if imbalance is None or imbalance <= RARE or not wanted:
        return None
    return (
        f"the largest training class has {imbalance:.1f} times the images of the smallest: "
        f"for the sake of the rare ones, train again with {' and '.join(wanted)}; a teacher with "
        f"{own_recipe(BALANCED)}"
    )


def _few_in_test(data: DataPart) -> str | None:
    """How far recall per class, and what is averaged over classes, can be believed."""
    few = {name: n for name, n in (data.test_images_by_class or {}).items() if n < FEW}
    if not few:
        return None
    least = min(few, key=lambda name: few[name])
    words = {0: "no test image", 1: "one test image"}.get(few[least], f"{few[least]} test images")
    others = f" ({len(few) - 1} more have fewer than {FEW})" if len(few) > 1 else ""
    meaning = "its recall says little" if few[least] else "nothing is known of it"
    return f"class '{least}' has {words}{others}: {meaning}"
